"""What several files of tests make, run or read: one module for each subject.

No file of tests imports from another one. Fixtures are in the ``conftest.py`` of their folder.
"""
