"""Three views of the same customers, three numbers each."""

from feast import Entity, FeatureService, FeatureView, Field, ValueType
from feast.types import Float64

from everloop.adapters.features.source import DeltaSource

customer = Entity(name="customer", value_type=ValueType.INT64)


def view(name: str) -> FeatureView:
    return FeatureView(
        name=name,
        entities=[customer],
        ttl=None,
        schema=[Field(name=f"{name}_{n}", dtype=Float64) for n in range(3)],
        source=DeltaSource(table=name, tables=[name], sql=f"SELECT * FROM {name}"),
    )


balance, usage, support = view("balance"), view("usage"), view("support")
customers = FeatureService(name="customers", features=[balance, usage, support])
