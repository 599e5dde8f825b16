"""Query strategies: how a batch is ranked and chosen."""
