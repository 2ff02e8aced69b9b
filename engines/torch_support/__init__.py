"""Helpers for engines that run on PyTorch."""
