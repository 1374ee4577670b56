"""Estimators that scikit-learn lacks, on its base classes. Only a fit imports its modules."""

__all__: list[str] = []
