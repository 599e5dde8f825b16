"""Evidence for the reliability of the server: scripts, their latest results, and a page rendered from these."""
