"""Where a recording is cut: the plan, for all of it or while it streams by."""
