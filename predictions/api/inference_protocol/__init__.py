"""The Open Inference Protocol, version 2 (https://github.com/kserve/open-inference-protocol), over HTTP.

With the binary tensor data extension of Triton Inference Server. What the protocol leaves open is decided as MLServer's
scikit-learn runtime does: `predict` has the shape [rows, 1], and `predict_proba` comes when it is asked for.
Rows and elements are counted from 0 in messages, as tensors are indexed.
"""
