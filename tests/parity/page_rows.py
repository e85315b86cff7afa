"""The rows of the page that are not in the table: (PyTorch's code, qing's statements). qing's statements are compiled (see
generate.py), each in a function with the variables of SETTING."""

import optimizer_rows


def of_optimizers():
    """Every optimizer of PyTorch's, with its defaults."""
    names = {torch: qing for qing, torch, *_ in optimizer_rows.read() if torch != "-"}
    return [
        (f"torch.optim.{torch}(model.parameters())", f"optim::{qing} {qing.lower()}(model.parameters());")
        for torch, qing in names.items()
    ]


SETTING = {
    "x": "Tensor",  # f32 [2, 3], a leaf
    "y": "Tensor",  # f32 [2, 3]
    "mask": "Tensor",  # bool [2, 3]
    "rng": "Generator",
    "model": "nn::Sequential",
    "loss": "Tensor",
    "optimizer": "optim::AdamW",
    "path": "std::filesystem::path",
}

HEADERS = [
    "autograd/autograd.h", "autograd/ops/gradient_checkpoint.h", "autograd/functional/functional.h", "autograd/functional/gradcheck.h", "autograd/ops.h",
    "nn/data/collate.h", "nn/data/data_loader.h", "nn/init.h", "nn/layers/layers.h", "nn/formats/safetensors.h", "optim/clip.h",
    "optim/lr_scheduler.h", "optim/optimizer.h", "tensor/creation.h", "tensor/dlpack.h", "tensor/npy.h", "tensor/threads.h",
]  # fmt: skip

GROUPS = {
    "Making tensors": [
        ("torch.tensor([[1., 2.], [3., 4.]])", "Tensor::of({{1, 2}, {3, 4}});"),
        ("torch.tensor([1, 2, 3])", "Tensor::of({1, 2, 3}, DType::i64);"),
        ("torch.empty(2, 3)", "empty({2, 3});"),
        ("torch.zeros(2, 3)", "zeros({2, 3});"),
        ("torch.ones(2, 3, dtype=torch.float64)", "ones({2, 3}, DType::f64);"),
        ("torch.full((2, 3), 0.5)", "full({2, 3}, 0.5);"),
        ("torch.zeros_like(x)", "zeros_like(x);"),
        ("torch.full_like(x, 2.0)", "full_like(x, 2);"),
        ("torch.arange(5)", "Tensor::arange(5);"),
        ("torch.arange(0, 1, 0.25)", "arange(0, 1, 0.25);"),
        ("torch.linspace(0, 1, 11)", "linspace(0, 1, 11);"),
        ("torch.eye(3)", "eye(3);"),
        ("torch.manual_seed(1)", "Generator generator(1);  // every random function takes one"),
        ("torch.rand(2, 3)", "rand({2, 3}, rng);"),
        ("torch.randn(2, 3)", "randn({2, 3}, rng);"),
        ("torch.randint(0, 10, (2, 3))", "randint(0, 10, {2, 3}, rng);"),
        ("torch.randperm(10)", "randperm(10, rng);"),
        ("torch.bernoulli(p)", "bernoulli(full({2, 3}, 0.5), rng);"),
        ("torch.from_numpy(a)  # shares memory", "float data[6] = {};\nTensor::wrap(data, {2, 3});"),
        ("torch.from_numpy(numpy.load('a.npy'))", 'load_npy("a.npy");'),
    ],
    "Tensor properties": [
        ("x.shape, x.dtype, x.ndim, x.numel()", "x.shape(), x.dtype(), x.dim(), x.numel();"),
        ("x.size(-1), x.stride()", "x.size(-1), x.strides();"),
        ("x.is_contiguous()", "x.is_contiguous();"),
        ("loss.item()", "loss.item();"),
        ("x[0, 1].item()", "x.at({0, 1});"),
        ("x.tolist()  # of the elements", "x.span<float>();"),
        ("x.data_ptr()", "x.data<float>();"),
        ("x.double()", "x.to(DType::f64);"),
        ("x.contiguous()", "x.contiguous();"),
        ("print(x)", "std::cout << x;"),
    ],
    "Writing in place": [
        ("y.copy_(x)", "y.copy_from(x);"),
        ("y.fill_(1.0)", "y.fill(1);"),
        ("y.zero_()", "y.zero_();"),
        ("y.add_(x, alpha=2)", "y.add_(x, 2);"),
        ("y.mul_(0.5)", "y.mul_(0.5);"),
        ("y.div_(x)", "y.div_(x);"),
        ("y.clamp_(0, 1)", "y.clamp_(0, 1);"),
        ("y.masked_fill_(mask, 0.0)", "y.masked_fill_(mask, 0);"),
        ("y[0, 1] = 2.0", "y.set({0, 1}, 2);"),
        ("y[:, 1:] = 0.0", "y[{Slice(), Slice(1)}].fill(0);"),
        ("y[0] = x[1]", "y[0].copy_from(x[1]);"),
        ("y[:, i] = 2.0  # i: indices",
         "const Tensor i = Tensor::from<int64_t>({0, 2}, {2});\ny.copy_from(index_put(y, {Tensor(), i}, 2));"),
    ],
    "Gradients": [
        ("x.requires_grad_()", "set_requires_grad(x);"),
        ("x.requires_grad, x.is_leaf", "requires_grad(x), is_leaf(x);"),
        ("loss.backward()", "backward(loss);"),
        ("loss.backward(retain_graph=True)", "backward(loss, {.retain_graph = true});"),
        ("z.backward(gradient=y)", "const Tensor z = x * x;\nbackward(z, {.gradient = y});"),
        ("x.grad", "grad(x);"),
        ("x.grad = None", "zero_grad(x);"),
        ("z.retain_grad()", "const Tensor z = x * x;\nretain_grad(z);"),
        ("x.detach()", "detach(x);"),
        ("with torch.no_grad(): ...", "const NoGradGuard no_grad;"),
        ("with torch.enable_grad(): ...", "const EnableGradGuard enable_grad;"),
        ("with torch.inference_mode(): ...", "const InferenceGuard inference;"),
        ("torch.is_grad_enabled()", "grad_enabled();"),
        ("torch.autograd.grad(loss, [x])", "gradients(loss, {x});"),
        ("torch.autograd.grad(loss, [x], create_graph=True)", "gradients(loss, {x}, {.create_graph = true});"),
        ("torch.autograd.detect_anomaly()", "const AnomalyGuard anomaly;"),
        ("x.register_hook(lambda g: 2 * g)", "register_hook(x, [](const Tensor& g) { return 2 * g; });"),
        ("handle.remove()", "HookHandle handle = register_hook(x, [](const Tensor&) { return Tensor(); });\nhandle.remove();"),
        ("torch.autograd.gradcheck(f, [x])", "gradcheck([](const std::vector<Tensor>& in) { return tanh(in[0]); }, {x});"),
        ("torch.func.vjp(f, x)", "vjp([](const std::vector<Tensor>& in) { return tanh(in[0]); }, {x}, y);"),
        ("torch.func.jvp(f, (x,), (y,))", "jvp([](const std::vector<Tensor>& in) { return tanh(in[0]); }, {x}, {y});"),
        ("torch.autograd.functional.jacobian(f, x)", "jacobian([](const Tensor& t) { return tanh(t); }, x);"),
        ("torch.autograd.functional.hessian(f, x)", "hessian([](const Tensor& t) { return sum(tanh(t)); }, x);"),
        ("torch.utils.checkpoint.checkpoint(f, x)",
         "checkpoint([](const std::vector<Tensor>& in) { return tanh(in[0]); }, {x});"),
    ],
    "Modules": [
        ("model(x)", "model(x);"),
        ("model.train()", "model.train();"),
        ("model.eval()", "model.eval();"),
        ("model.parameters()", "model.parameters();"),
        ("dict(model.named_parameters())", "model.named_parameters();"),
        ("dict(model.named_buffers())", "model.named_buffers();"),
        ("dict(model.named_modules())", "model.named_modules();"),
        ("model.get_submodule('0')", 'model.get_submodule("0");'),
        ("sum(p.numel() for p in model.parameters())", "model.parameter_count();"),
        ("model.requires_grad_(True)", "model.set_requires_grad(true);  // modules begin without"),
        ("model.zero_grad()", "model.zero_grad();"),
        ("model.double()", "model.to(DType::f64);"),
        ("model.apply(f)", "model.apply([](nn::Module& part) { part.freeze(); });"),
        ("model.state_dict()", "model.state_dict();"),
        ("model.load_state_dict(state)", "model.load_state_dict(model.state_dict());"),
        ("model.load_state_dict(state, strict=False)", "model.load_state_dict({}, false);"),
        ("nn.init.xavier_uniform_(w)", "nn::init::xavier_uniform(y, rng);"),
        ("nn.init.kaiming_normal_(w, nonlinearity='relu')",
         "nn::init::kaiming_normal(y, rng, 0, nn::init::FanMode::fan_in, nn::init::Nonlinearity::relu);"),
        ("nn.init.orthogonal_(w)", "nn::init::orthogonal(y, rng);"),
        ("nn.init.trunc_normal_(w, std=0.02)", "nn::init::trunc_normal(y, rng, 0, 0.02);"),
        ("F.dropout(x, 0.1)", "dropout(x, 0.1, rng);"),
        ("nn.ModuleDict({'act': nn.ReLU()})['act'](x)",
         'nn::ModuleDict<nn::UnaryModule> parts;\nparts.emplace<nn::ReLU>("act");\nparts["act"](x);'),
        ("x + nn.Embedding(512, 3).weight[:2]", "nn::LearnedPositionalEncoding(3, 512, rng)(x);"),
    ],
    "Saving": [
        ("safetensors.torch.save_file(model.state_dict(), path)",
         "nn::save_safetensors(path, {.tensors = model.state_dict(), .metadata = {}});"),
        ("model.load_state_dict(safetensors.torch.load_file(path))",
         "model.load_state_dict(nn::load_safetensors(path).tensors);"),
        ("numpy.save(path, x.numpy())", "save_npy(path, x);"),
        ("torch.utils.dlpack.to_dlpack(x)", "dlpack::to_dlpack(y);"),
    ],
    "Optimizers": [
        ("torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)",
         "optim::Sgd sgd(model.parameters(), {.lr = 0.1, .momentum = 0.9});"),
        *of_optimizers(),
        ("torch.optim.AdamW(model.parameters(), lr=5e-4, betas=(0.9, 0.98))",
         "optim::AdamW adamw(model.parameters(), {.lr = 5e-4, .beta1 = 0.9, .beta2 = 0.98});"),
        ("torch.optim.SparseAdam(model.parameters())", "optim::Adam sparse(model.parameters(), {.lazy = true});"),
        ("optimizer.zero_grad()", "optimizer.zero_grad();"),
        ("optimizer.step()", "optimizer.step();"),
        ("optimizer.param_groups[0]['lr']", "optimizer.lr();"),
        ("optimizer.state_dict()", "optimizer.state_dict();"),
        ("optimizer.load_state_dict(state)", "optimizer.load_state_dict(optimizer.state_dict());"),
        ("nn.utils.clip_grad_norm_(model.parameters(), 1.0)", "optim::clip_grad_norm(model.parameters(), 1);"),
        ("nn.utils.clip_grad_value_(model.parameters(), 0.5)", "optim::clip_grad_value(model.parameters(), 0.5);"),
    ],
    "Schedules": [
        ("StepLR(optimizer, 30)", "optim::LrScheduler scheduler(optimizer, optim::step_lr(30));"),
        ("CosineAnnealingLR(optimizer, 100)", "optim::LrScheduler scheduler(optimizer, optim::cosine_annealing_lr(100));"),
        ("ExponentialLR(optimizer, 0.9)", "optim::LrScheduler scheduler(optimizer, optim::exponential_lr(0.9));"),
        ("LinearLR(optimizer)", "optim::LrScheduler scheduler(optimizer, optim::linear_lr());"),
        ("OneCycleLR(optimizer, max_lr=0.1, total_steps=100)",
         "optim::LrScheduler scheduler(optimizer, optim::one_cycle_lr({.max_lr = 0.1, .total_steps = 100}));"),
        ("transformers.get_linear_schedule_with_warmup(optimizer, 10, 100)",
         "optim::LrScheduler scheduler(optimizer, optim::linear_with_warmup(10, 100));"),
        ("ReduceLROnPlateau(optimizer)", "optim::ReduceLrOnPlateau plateau(optimizer);"),
        ("scheduler.step()", "optim::LrScheduler scheduler(optimizer, optim::linear_lr());\nscheduler.step();"),
    ],
    "Data": [
        ("TensorDataset, or any class with __getitem__ and __len__",
         "nn::VectorDataset<Tensor> data({x, y});  // or any class with size() and get(i)"),
        ("for batch in DataLoader(data, batch_size=2, shuffle=True): ...",
         "nn::DataLoader loader(nn::VectorDataset<Tensor>({x, y}), nn::default_collate, {.batch_size = 2, .shuffle = true});\n"
         "for (const Tensor& batch : loader) sum(batch);"),
        ("DataLoader(data, num_workers=2)",
         "nn::DataLoader loader(nn::VectorDataset<Tensor>({x, y}), nn::default_collate, {.num_workers = 2});"),
    ],
    "Threads": [
        ("torch.set_num_threads(2)", "set_num_threads(2);"),
        ("torch.get_num_threads()", "num_threads();"),
    ],
}  # fmt: skip
