"""Judging body policies in the full model."""
