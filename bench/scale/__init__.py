"""Several servers over one PostgreSQL store, behind a balancer."""
