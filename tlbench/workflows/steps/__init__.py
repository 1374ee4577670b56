"""The steps that several workflows share."""
