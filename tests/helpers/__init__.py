"""What tests share: servers, players, tables, browsers."""
