"""Models that are served without user code: XGBoost models as ONNX inside the gateway's workers, or natively in a replica.

`python -m colonnade.serving.compiled <model folder> <out folder>` converts and proves a model, in a process of its own;
`predictor` serves what came out with onnxruntime alone; `native` serves, with xgboost itself, what ONNX cannot answer
exactly. Both answer requests by the same `contract`.
"""
