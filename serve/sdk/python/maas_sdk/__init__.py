"""Client of the qing sentiment service.

    from maas_sdk import MaaSClient

    client = MaaSClient(api_key='your_api_key')
    model = client.get_model('emotion_analysis')
    for text, emotion in zip(texts, model.predict(texts)):
        print(f'文本：{text}，情感：{emotion}')
"""

from .aio import AsyncMaaSClient, AsyncModel
from .client import DEFAULT_ENDPOINT, MAX_BATCH, MaaSClient
from .errors import (
    AuthenticationError,
    InvalidRequestError,
    MaaSConnectionError,
    MaaSError,
    MaaSTimeoutError,
    ModelNotFoundError,
    RateLimitError,
    ServiceUnavailableError,
)
from .model import Emotion, Explanation, Model, Span

__all__ = [
    "AsyncMaaSClient",
    "AsyncModel",
    "AuthenticationError",
    "DEFAULT_ENDPOINT",
    "Emotion",
    "Explanation",
    "InvalidRequestError",
    "MAX_BATCH",
    "MaaSClient",
    "MaaSConnectionError",
    "MaaSError",
    "MaaSTimeoutError",
    "Model",
    "ModelNotFoundError",
    "RateLimitError",
    "ServiceUnavailableError",
    "Span",
]
__version__ = "0.1.0"
