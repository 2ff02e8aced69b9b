"""Backups of the embedded service: one archive with its records and its objects.

What is not in it is made again: the queues and the progress in Redis follow from the records
(`core.jobs.recovery`), the token of the command line is made when the service starts.
"""
