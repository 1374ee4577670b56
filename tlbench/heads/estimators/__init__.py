"""Estimators that scikit-learn lacks, on its base classes: imported by the first fit, never before.

Nothing is gathered here: importing this package must not import scikit-learn.
"""

__all__: list[str] = []
