"""Backups of the embedded stack: one archive with its database and its objects.

The rest is recreated: the queues and the progress in Redis from the database
(`core.jobs.recovery`), the local token when the service starts.
"""
