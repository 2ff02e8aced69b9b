"""The database: models, transactions, pages of lists, and the way to the newest form."""
