"""What every other package may use: errors, registry, downloads, hashing, progress, units."""
