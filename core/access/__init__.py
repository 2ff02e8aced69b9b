"""Who may do what: keys, secrets, requests that are sent twice, and what users have named."""
