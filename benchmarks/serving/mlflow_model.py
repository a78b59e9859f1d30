"""The model as MLflow keeps it: XGBoost flavour, with the signature that lets a missing value through."""

from __future__ import annotations

from benchmarks.serving.work import FEATURES


def save(model: str, folder: str) -> None:
    """Keep the UBJ file `model` as an MLflow model in `folder`."""
    import mlflow
    import xgboost
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    columns = Schema([ColSpec("double", name, required=False) for name in FEATURES])
    signature = ModelSignature(columns, Schema([ColSpec("double")]))
    mlflow.xgboost.save_model(
        xgboost.Booster(model_file=model), folder, model_format="ubj", signature=signature, pip_requirements=["xgboost"]
    )
