"""What the exporters share: probe images, preprocessing nodes, parity, and the files they write."""
