"""Client of a qing service: text classification, translation, named entities and pictures.

    from maas_sdk import MaaSClient

    client = MaaSClient(api_key='your_api_key')
    model = client.get_model('emotion_analysis')
    for text, emotion in zip(texts, model.predict(texts)):
        print(f'文本：{text}，情感：{emotion}')
"""

from .aio import AsyncFiles, AsyncMaaSClient
from .aio_jobs import AsyncJob, AsyncJobs
from .aio_model import AsyncModel
from .arguments import DEFAULT_ENDPOINT
from .client import CONCURRENCY, MAX_BATCH, MaaSClient
from .emotion import Emotion, Explanation, Span
from .errors import (
    AuthenticationError,
    InvalidRequestError,
    MaaSConnectionError,
    MaaSError,
    MaaSTimeoutError,
    ModelNotFoundError,
    NotFoundError,
    RateLimitError,
    ServiceUnavailableError,
)
from .files import File, Files, RowError
from .jobs import Job, JobFailedError, Jobs
from .model import Model
from .partial import PartialResult
from .tasks import Alignment, Entity, ImageClass, Translation, WrongTaskError

__all__ = [
    "Alignment",
    "AsyncFiles",
    "AsyncJob",
    "AsyncJobs",
    "AsyncMaaSClient",
    "AsyncModel",
    "AuthenticationError",
    "CONCURRENCY",
    "DEFAULT_ENDPOINT",
    "Emotion",
    "Entity",
    "Explanation",
    "File",
    "Files",
    "ImageClass",
    "InvalidRequestError",
    "Job",
    "JobFailedError",
    "Jobs",
    "MAX_BATCH",
    "MaaSClient",
    "MaaSConnectionError",
    "MaaSError",
    "MaaSTimeoutError",
    "Model",
    "ModelNotFoundError",
    "NotFoundError",
    "PartialResult",
    "RateLimitError",
    "RowError",
    "ServiceUnavailableError",
    "Span",
    "Translation",
    "WrongTaskError",
]
__version__ = "0.1.0"
