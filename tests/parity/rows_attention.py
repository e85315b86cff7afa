from row import Row

TITLE = "Attention"

# The weights are larger than in real networks: with many columns, f32 rounding would decide between keys.
HEADS = {"h": (1, 2), "d": (3, 4)}
SPLIT = "(lambda y: y.reshape(-1, h, d).transpose(0, 1))"

ROWS = [
    Row("scaled_dot_product_attention", "q: b h s d; k: b h t d; v: b h t e",
        "F.scaled_dot_product_attention(q, k, v)", "scaled_dot_product_attention(q, k, v)", empty=False),
    Row("scaled_dot_product_attention, causal", "q: b h s d; k: b h t d; v: b h t e",
        "F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3)",
        "scaled_dot_product_attention(q, k, v, {.is_causal = true, .scale = 0.3})", empty=False),
    Row("scaled_dot_product_attention, keys hidden", "q: b s d; k: b t d; v: b t d; m: s t | bool",
        "F.scaled_dot_product_attention(q, k, v, attn_mask=m)",
        "scaled_dot_product_attention(q, k, v, {.attn_mask = m})", empty=False),
    Row("scaled_dot_product_attention, a mask added", "q: b h s d; k: b h t d; v: b h t d; m: h s t",
        "F.scaled_dot_product_attention(q, k, v, attn_mask=m)",
        "scaled_dot_product_attention(q, k, v, {.attn_mask = m})", empty=False),
    Row("scaled_dot_product_attention, grouped queries", "q: b g*h s d; k: b h t d; v: b h t d",
        "F.scaled_dot_product_attention(q, k, v, enable_gqa=True)", "scaled_dot_product_attention(q, k, v)",
        empty=False),
    Row("ragged attention, causal", "q: s h*d; k: s h*d; v: s h*d",
        f"F.scaled_dot_product_attention(*({SPLIT}(x) for x in (q, k, v)), is_causal=True)"
        ".transpose(0, 1).reshape(s, h * d)", "attention(q, k, v, {0, s}, h, 0, nullptr, true)", empty=False),
    Row("ragged attention, grouped queries", "q: s g*h*d; k: s h*d; v: s h*d",
        f"F.scaled_dot_product_attention(q.reshape(s, g * h, d).transpose(0, 1), {SPLIT}(k), {SPLIT}(v), enable_gqa=True)"
        ".transpose(0, 1).reshape(s, g * h * d)",
        "ragged_attention(q, k, v, {0, s}, {0, s}, {.heads = g * h, .key_heads = h})", empty=False),
    Row("ragged attention, a relative bias", "q: s h*d; k: s h*d; v: s h*d; r: h 2*s+1",
        f"F.scaled_dot_product_attention(*({SPLIT}(x) for x in (q, k, v)),"
        " attn_mask=r[:, torch.arange(s) - torch.arange(s)[:, None] + s]).transpose(0, 1).reshape(s, h * d)",
        "ragged_attention(q, k, v, {0, s}, {0, s}, {.heads = h, .relative_bias = r})", empty=False,
        shown="F.scaled_dot_product_attention(q, k, v, attn_mask=r[:, j - i + s])"),
    Row("sinusoidal positions", "x: b t 2*d",
        "x + (lambda a: torch.stack((a.sin(), a.cos()), -1).reshape(t, 2 * d).to(x.dtype))"
        "(torch.arange(t).double()[:, None] * 10000.0 ** (-torch.arange(d).double() / d))",
        "nn::SinusoidalPositionalEncoding(2 * d)(x)", shown="x + pe[:t]  # sines and cosines", empty=False),
    Row("ALiBi", "q: b 2**h s d; k: b 2**h t d; v: b 2**h t d",
        "F.scaled_dot_product_attention(q, k, v, attn_mask=-(2.0 ** (-8.0 / 2**h * torch.arange(1, 2**h + 1).double())"
        "[:, None, None] * (torch.arange(s)[:, None] - torch.arange(t)).abs()).to(q.dtype))",
        "scaled_dot_product_attention(q, k, v, {.attn_mask = nn::alibi_bias(q.size(1), s, t, 0, q.dtype())})",
        shown="F.scaled_dot_product_attention(q, k, v, attn_mask=-slopes * distances)", sizes={"h": (0, 3)}, empty=False),
    Row("rotary_embedding, interleaved", "x: s h 2*d; i: s | int 0 50",
        "torch.view_as_real(torch.view_as_complex(x.reshape(s, h, d, 2).contiguous()) * torch.polar(torch.ones((), dtype=x.dtype),"
        " (i[:, None].double() * 10000.0 ** (-torch.arange(d).double() / d)).to(x.dtype))[:, None, :]).reshape(x.shape)",
        "rotary_embedding(x, i, {.layout = RotaryLayout::interleaved})", empty=False,
        shown="x as complex numbers, times e^(i·position·θ)"),
    Row("rotary_embedding", "x: s h 2*d; i: s | int 0 50",
        "(lambda a: torch.cat((x[..., :d] * a.cos() - x[..., d:] * a.sin(),"
        " x[..., d:] * a.cos() + x[..., :d] * a.sin()), -1))"
        "((i[:, None, None].double() * 10000.0 ** (-torch.arange(d).double() / d)).to(x.dtype))",
        "rotary_embedding(x, i)", empty=False, shown="x·cos + rotate_half(x)·sin"),
    Row("nn.MultiheadAttention", "x: b s h*d", "module(x, x, x)[0]", "module.forward(x, x, x)",
        module="nn.MultiheadAttention(h * d, h, batch_first=True)",
        qing_module="nn::MultiheadAttention(h * d, h, rng)", sizes=HEADS, empty=False),
    Row("nn.MultiheadAttention, masks", "x: b s h*d; p: b s | bool; m: s s | bool",
        "module(x, x, x, key_padding_mask=p.index_fill(1, torch.tensor([0]), False), need_weights=False,"
        " attn_mask=m.index_fill(1, torch.tensor([0]), False))[0]",
        "[&] { p.alias().select(1, 0).fill(0); m.alias().select(1, 0).fill(0);"
        " return module.forward(x, x, x, {.key_padding_mask = p, .attn_mask = m}); }()",
        module="nn.MultiheadAttention(h * d, h, batch_first=True)",
        qing_module="nn::MultiheadAttention(h * d, h, rng)", sizes=HEADS, empty=False,
        shown="module(x, x, x, key_padding_mask=p, attn_mask=m)"),
    Row("nn.MultiheadAttention, cross, without bias", "x: b s h*d; k: b t h*d; v: b t h*d", "module(x, k, v)[0]",
        "module.forward(x, k, v)", module="nn.MultiheadAttention(h * d, h, bias=False, batch_first=True)",
        qing_module="nn::MultiheadAttention(h * d, h, rng, {.bias = false})", sizes=HEADS, empty=False),
    Row("nn.TransformerEncoderLayer", "x: b s h*d", "module(x)", "module.forward(x)",
        module="nn.TransformerEncoderLayer(h * d, h, f, dropout=0, batch_first=True)",
        qing_module="nn::TransformerEncoderLayer(h * d, h, rng, {.dim_feedforward = f, .dropout = 0})",
        sizes=HEADS, empty=False),
    Row("nn.TransformerEncoderLayer, norm first, gelu, causal", "x: b s h*d",
        "module(x, nn.Transformer.generate_square_subsequent_mask(s).to(x.dtype), is_causal=True)",
        "module.forward(x, nn::AttentionMasks{.is_causal = true})",
        module="nn.TransformerEncoderLayer(h * d, h, f, dropout=0, activation='gelu', norm_first=True, batch_first=True)",
        qing_module="nn::TransformerEncoderLayer(h * d, h, rng, {.dim_feedforward = f, .dropout = 0, .activation ="
        " nn::FeedForwardActivation::gelu, .norm_first = true})", sizes=HEADS, empty=False,
        shown="module(x, is_causal=True)"),
    Row("nn.TransformerDecoderLayer", "x: b s h*d; y: b t h*d",
        "module(x, y, tgt_mask=nn.Transformer.generate_square_subsequent_mask(s).to(x.dtype))",
        "module.forward(x, y, {.is_causal = true})",
        module="nn.TransformerDecoderLayer(h * d, h, f, dropout=0, batch_first=True)",
        qing_module="nn::TransformerDecoderLayer(h * d, h, rng, {.dim_feedforward = f, .dropout = 0})",
        sizes=HEADS, empty=False, shown="module(x, y, tgt_is_causal=True)"),
    Row("nn.TransformerDecoderLayer, norm first", "x: b s h*d; y: b t h*d", "module(x, y)", "module.forward(x, y)",
        module="nn.TransformerDecoderLayer(h * d, h, f, dropout=0, norm_first=True, batch_first=True)",
        qing_module="nn::TransformerDecoderLayer(h * d, h, rng, {.dim_feedforward = f, .dropout = 0,"
        " .norm_first = true})", sizes=HEADS, empty=False),
    Row("nn.TransformerEncoder", "x: b s h*d", "module(x)", "module.forward(x)",
        module="nn.TransformerEncoder(nn.TransformerEncoderLayer(h * d, h, f, dropout=0, batch_first=True), 2,"
        " nn.LayerNorm(h * d))",
        qing_module="nn::TransformerEncoder(h * d, h, 2, rng, {.dim_feedforward = f, .dropout = 0}, true)",
        sizes=HEADS, empty=False),
    Row("nn.TransformerDecoder", "x: b s h*d; y: b t h*d", "module(x, y)", "module.forward(x, y)",
        module="nn.TransformerDecoder(nn.TransformerDecoderLayer(h * d, h, f, dropout=0, batch_first=True), 2)",
        qing_module="nn::TransformerDecoder(h * d, h, 2, rng, {.dim_feedforward = f, .dropout = 0})",
        sizes=HEADS, empty=False),
]  # fmt: skip
