"""Evidence that the server does not fall over: scripts with their last results, and a page made from those."""
