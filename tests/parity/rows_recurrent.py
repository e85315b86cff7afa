from row import Row

TITLE = "Recurrent networks"

STATES = "[&] {{ const auto r = module.forward({}); return std::vector<Tensor>{{{}}}; }}()"

ROWS = [
    Row("nn.RNN", "x: t b m", "module(x)", STATES.format("x", "r.output, r.state.h"),
        module="nn.RNN(m, n, 2)", qing_module="nn::RNN(m, n, rng, {.num_layers = 2})", empty=False),
    Row("nn.RNN with relu, batch first", "x: b t m", "module(x)", STATES.format("x", "r.output, r.state.h"),
        module="nn.RNN(m, n, nonlinearity='relu', batch_first=True)",
        qing_module="nn::RNN(m, n, rng, {.batch_first = true}, nn::RnnNonlinearity::relu)", empty=False),
    Row("nn.LSTM", "x: t b m; h: 1 b n; u: 1 b n", "(lambda o: (o[0], *o[1]))(module(x, (h, u)))",
        STATES.format("x, {h, u}", "r.output, r.state.h, r.state.c"),
        module="nn.LSTM(m, n)", qing_module="nn::LSTM(m, n, rng)", empty=False, shown="module(x, (h, u))"),
    Row("nn.LSTM, two layers, both directions, batch first", "x: b t m", "(lambda o: (o[0], *o[1]))(module(x))",
        STATES.format("x", "r.output, r.state.h, r.state.c"),
        module="nn.LSTM(m, n, 2, bidirectional=True, batch_first=True)",
        qing_module="nn::LSTM(m, n, rng, {.num_layers = 2, .batch_first = true, .bidirectional = true})",
        empty=False, shown="module(x)"),
    Row("nn.GRU", "x: t b m; h: 1 b n", "module(x, h)", STATES.format("x, {h}", "r.output, r.state.h"),
        module="nn.GRU(m, n, bias=False)", qing_module="nn::GRU(m, n, rng, {.bias = false})", empty=False),
    Row("nn.GRU, two layers, both directions", "x: t b m; h: 4 b n", "module(x, h)",
        STATES.format("x, {h}", "r.output, r.state.h"), module="nn.GRU(m, n, 2, bidirectional=True)",
        qing_module="nn::GRU(m, n, rng, {.num_layers = 2, .bidirectional = true})", empty=False),
    Row("nn.RNNCell", "x: b m; h: b n", "module(x, h)", "module(x, h)", module="nn.RNNCell(m, n, nonlinearity='relu')",
        qing_module="nn::RNNCell(m, n, rng, true, nn::RnnNonlinearity::relu)", empty=False),
    Row("nn.LSTMCell", "x: b m; h: b n; u: b n", "module(x, (h, u))", STATES.format("x, {h, u}", "r.h, r.c"),
        module="nn.LSTMCell(m, n)", qing_module="nn::LSTMCell(m, n, rng)", empty=False),
    Row("nn.LSTMCell without batch and state", "x: m", "module(x)", STATES.format("x", "r.h, r.c"),
        module="nn.LSTMCell(m, n, bias=False)", qing_module="nn::LSTMCell(m, n, rng, false)", empty=False),
    Row("nn.GRUCell", "x: b m; h: b n", "module(x, h)", "module(x, h)", module="nn.GRUCell(m, n)",
        qing_module="nn::GRUCell(m, n, rng)", empty=False),
]  # fmt: skip
