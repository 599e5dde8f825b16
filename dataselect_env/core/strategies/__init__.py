"""Query strategies: utilities of pool samples, and the choice of a batch by them."""
