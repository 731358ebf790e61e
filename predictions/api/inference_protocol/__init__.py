"""The Open Inference Protocol, version 2 (https://github.com/kserve/open-inference-protocol), over HTTP.

It has the binary tensor data extension of Triton Inference Server. Where the protocol leaves a choice, it does as
MLServer's scikit-learn runtime: for one target `predict` has the shape [rows, 1], and `predict_proba` is only given on
request.
Rows and elements are counted from 0 in messages, as tensors are indexed.
"""
