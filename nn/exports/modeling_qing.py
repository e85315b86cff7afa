"""A text classifier made by qing, for `transformers` (trust_remote_code=True): BERT's encoder and, where the
configuration has "ngrams", a linear model of n-grams whose logits are added.

`logits` equal those of qing; `scores` are the softmax of logits / score_temperature, of several labels the sigmoids and of
numbers the number itself. `predicted` are the labels whose scores reach their thresholds, of several labels; `value` is the
mean of the places of ordered labels weighted by their scores, or the number. Written for inference."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from transformers import BertConfig, BertModel, BertPreTrainedModel, TextClassificationPipeline
from transformers.modeling_outputs import SequenceClassifierOutput

CONTINUES, EXTRA = 1, 2  # flags of a token id: continues a word; is not in the encoder's vocabulary
NO_CHARACTER = 0xFF  # the "text" of a special token or an unknown character
LONGEST_WORD = 100  # characters; a longer word is [UNK] to the encoder
OPEN, CLOSE = 1, 2  # marks of a word's beginning and end; no text contains them
PIECES_NORM = 0.7  # Euclidean norm of the values of pieces; that of words is 1


class QingConfig(BertConfig):
    model_type = "qing_classifier"


def word_bounds(ids, valid, flags):
    """Whether each token begins and ends a word. A special token is a word; a masked token is none."""
    continues = valid & ((flags[ids] & CONTINUES) != 0)
    begins = valid & ~(continues & F.pad(valid[:, :-1], (1, 0)))
    ends = valid & ~F.pad(continues[:, 1:], (0, 1))
    return begins, ends


class NgramHead(nn.Module):
    """The sum of value * weight over the n-grams of a text that the table has: one to three words in a row, and pieces
    of two to four characters of a word between "<" and ">". A key is a bit for the kind and 31 bits of FNV-1a."""

    def __init__(self, rows, pieces, piece_bytes, labels):
        super().__init__()
        self.register_buffer("pieces", torch.zeros(pieces, piece_bytes, dtype=torch.uint8))
        self.register_buffer("flags", torch.zeros(pieces, dtype=torch.uint8))
        self.register_buffer("keys", torch.zeros(rows, dtype=torch.int32))  # bits of ascending unsigned numbers
        self.register_buffer("idf", torch.zeros(rows))
        self.weight = nn.Parameter(torch.zeros(rows, labels))

    def words(self, ids, valid):
        """For each token the number of its word, counted over all texts, and whether the encoder knows that word."""
        begins, _ = word_bounds(ids, valid, self.flags)
        number = begins.flatten().cumsum(0)
        extra = valid & ((self.flags[ids] & EXTRA) != 0)
        bytes_ = self.pieces[ids].int()
        characters = ((bytes_ != 0) & ((bytes_ & 0xC0) != 0x80)).sum(-1) * valid
        total = torch.zeros(2, int(number[-1]) + 1, dtype=torch.int64, device=ids.device)
        total.index_add_(1, number, torch.stack([extra.flatten(), characters.flatten()]).long())
        known = (total[0] == 0) & (total[1] <= LONGEST_WORD)
        return begins, known[number].view_as(ids)

    def forward(self, ids, valid):
        texts, length = ids.shape
        begins, ends = (bound.flatten().long() for bound in word_bounds(ids, valid, self.flags))
        pieces = self.pieces[ids].long().mul(valid[..., None]).flatten(0, 1)
        text = torch.arange(texts, device=ids.device).repeat_interleave(length)
        keys, owners = [], []
        for words, grams in ((0, self._pieces(pieces, begins, ends)), (1, self._words(pieces, ends, text))):
            codes, first, tokens, lasts, possible = grams
            for n, hashed in enumerate(self._hashes(codes, first, lasts, possible)):
                found = possible[n]
                keys.append(((hashed ^ (hashed >> 32)) & 0xFFFFFFFE | words)[found])
                owners.append(text[tokens[found]])
        return self._sums(torch.cat(keys), torch.cat(owners), texts)

    @staticmethod
    def _pieces(pieces, begins, ends):
        marked = torch.cat([begins[:, None] * OPEN, pieces, ends[:, None] * CLOSE], 1)
        token, column = marked.nonzero(as_tuple=True)
        codes = marked[token, column]
        first = ((codes & 0xC0) != 0x80).nonzero()[:, 0]
        tokens, word = token[first], begins.cumsum(0)[token[first]]
        characters = ((pieces != 0) & ((pieces & 0xC0) != 0x80)).sum(1)
        # A character outside ASCII that is a word has no pieces.
        alone = (begins * ends == 1) & (characters == 1) & (pieces[:, 0] >= 0x80)
        after = F.pad(first, (0, 4), value=len(codes))
        words = F.pad(word, (0, 4), value=-1)
        count = len(first)
        lasts = [after[n : n + count] for n in (2, 3, 4)]
        possible = [(words[n - 1 : n - 1 + count] == word) & ~alone[tokens] for n in (2, 3, 4)]
        letters = codes.where(codes != OPEN, ord("<")).where(codes != CLOSE, ord(">"))
        return letters, first, tokens, lasts, possible

    @staticmethod
    def _words(pieces, ends, text):
        spaced = torch.cat([pieces, ends[:, None] * ord(" ")], 1)
        token, column = spaced.nonzero(as_tuple=True)
        codes = spaced[token, column]
        last = (codes == ord(" ")).nonzero()[:, 0]
        tokens = token[last]
        first = F.pad(last[:-1] + 1, (1, 0))[: len(last)]
        owner = text[tokens]
        after, owners = F.pad(last, (0, 2), value=-1), F.pad(owner, (0, 2), value=-1)
        count = len(first)
        lasts = [after[n : n + count] for n in range(3)]
        possible = [owners[n : n + count] == owner for n in range(3)]
        return codes, first, tokens, lasts, possible

    @staticmethod
    def _hashes(codes, first, lasts, possible):
        """FNV-1a of codes[first:last] for each of the lasts; clears `possible` where it holds no character."""
        lost = F.pad((codes == NO_CHARACTER).cumsum(0), (1, 0))
        for last, flag in zip(lasts, possible):
            flag &= lost[last] == lost[first]
        state = torch.full_like(first, 0xCBF29CE484222325 - 2**64)
        results = [torch.zeros_like(first) for _ in lasts]
        lengths = torch.stack([(last - first) * flag for last, flag in zip(lasts, possible)])
        steps = int(lengths.max()) if lengths.numel() else 0
        for step in range(steps):
            at = first + step
            state = (state ^ codes[at.clamp(max=len(codes) - 1)]) * 0x100000001B3
            results = [torch.where(at + 1 == last, state, result) for last, result in zip(lasts, results)]
        return results

    def _sums(self, keys, owners, texts):
        table = self.keys.long() & 0xFFFFFFFF
        row = torch.searchsorted(table, keys).clamp(max=len(table) - 1)
        found = table[row] == keys
        distinct, counts = torch.unique(owners[found] * len(table) + row[found], return_counts=True)
        owner, row = distinct // len(table), distinct % len(table)
        values = (1 + counts.float().log()) * self.idf[row].float()
        words = table[row] & 1
        squares = values.new_zeros(texts * 2).index_add_(0, owner * 2 + words, values * values)
        values = values * torch.where(words == 1, 1.0, PIECES_NORM) / squares[owner * 2 + words].sqrt()
        logits = values.new_zeros(texts, self.weight.shape[1])
        return logits.index_add_(0, owner, values[:, None] * self.weight[row].float())


@dataclass
class QingOutput(SequenceClassifierOutput):
    scores: torch.FloatTensor | None = None
    predicted: torch.BoolTensor | None = None
    value: torch.FloatTensor | None = None


class QingForSequenceClassification(BertPreTrainedModel):
    config_class = QingConfig

    def __init__(self, config):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.bert = BertModel(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.ngrams = NgramHead(**config.ngrams, labels=config.num_labels) if config.ngrams else None
        self.post_init()

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, **kwargs):
        if token_type_ids is not None and (token_type_ids != 0).any():
            raise ValueError("a pair of texts: this model classifies single texts")
        valid = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask != 0
        ids, kept = input_ids, valid
        if self.ngrams is not None:
            begins, known = self.ngrams.words(ids, valid)
            ids = ids.where(known, self.config.unk_token_id)
            kept = valid & (begins | known)  # an unknown word is one token
        logits = self._encoder_logits(ids, kept)
        if self.ngrams is not None:
            logits = logits + self.ngrams(input_ids, valid).to(logits.dtype)
        return self._answers(logits)

    def _answers(self, logits):
        config, scaled = self.config, logits / self.config.score_temperature
        if config.problem_type == "regression":
            return QingOutput(logits=logits, scores=logits, value=logits[:, 0])
        if config.problem_type == "multi_label_classification":
            scores = scaled.sigmoid()
            thresholds = torch.tensor(config.thresholds, dtype=torch.float64, device=scores.device)
            return QingOutput(logits=logits, scores=scores, predicted=scores.double() >= thresholds)
        scores = scaled.softmax(-1)
        if not getattr(config, "ordinal", False):
            return QingOutput(logits=logits, scores=scores)
        places = torch.tensor(config.places, dtype=scores.dtype, device=scores.device)
        return QingOutput(logits=logits, scores=scores, value=(scores * places).sum(-1))

    def _encoder_logits(self, ids, kept):
        """The encoder reads the first encoder_max_length kept tokens. The last of them is [SEP], as in any text."""
        most = self.config.encoder_max_length
        position = kept.cumsum(1) - 1
        ids = ids.where(~((position == most - 1) & (kept.sum(1, keepdim=True) > most)), self.config.sep_token_id)
        read = kept & (position < most)
        width = max(int((read.long() * torch.arange(1, read.shape[1] + 1, device=ids.device)).max()), 1)
        ids, read, position = ids[:, :width], read[:, :width], position[:, :width]
        hidden = self.bert(
            input_ids=ids.where(read, self.config.pad_token_id),
            attention_mask=read.long(),
            position_ids=position.clamp(0, most - 1),
        ).last_hidden_state
        first = hidden[torch.arange(len(hidden), device=ids.device), read.long().argmax(1)]
        return self.classifier(self.bert.pooler(first[:, None]))


class QingTextClassificationPipeline(TextClassificationPipeline):
    """Shows calibrated scores, as qing does."""

    def postprocess(self, model_outputs, **kwargs):
        logits = model_outputs["logits"] / self.model.config.score_temperature
        return super().postprocess({**model_outputs, "logits": logits}, **kwargs)
