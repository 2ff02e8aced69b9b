"""The database: models, transactions, paging, and migration."""
