"""Networks that are trained on the user's images, from scratch or from pretrained weights."""
