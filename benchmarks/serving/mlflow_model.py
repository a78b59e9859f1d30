"""The model as MLflow keeps it: XGBoost flavour, with the signature that lets a missing value through."""

from __future__ import annotations

from benchmarks.serving.work import FEATURES


def save(model: str, folder: str, columns: bool) -> None:
    """Keep the UBJ file `model` as an MLflow model in `folder`.

    `columns`: with a column a feature, as a table's model is logged; else with one tensor, which costs the model those names.
    """
    import mlflow
    import numpy as np
    import xgboost
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    booster = xgboost.Booster(model_file=model)
    if columns:
        given, answered = [ColSpec("double", name, required=False) for name in FEATURES], ColSpec("double")
    else:
        booster.feature_names = None  # a tensor has none, and XGBoost would ask for them
        single = np.dtype("float32")
        given, answered = [TensorSpec(single, (-1, len(FEATURES)))], TensorSpec(single, (-1,))
    signature = ModelSignature(Schema(given), Schema([answered]))
    mlflow.xgboost.save_model(booster, folder, model_format="ubj", signature=signature, pip_requirements=["xgboost"])
