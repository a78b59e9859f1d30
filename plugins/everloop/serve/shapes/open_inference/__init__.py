"""The Open Inference Protocol, version 2, over REST, with its binary tensors (https://github.com/kserve/open-inference-protocol)."""
