"""RViDeformer transcribed from its specification, plainly: the reference of tests and benchmark.

Training form, with the names that the published checkpoints are taken to have. All windows at once,
a mask for every window, attention as products and a softmax, 1x3x3 convolutions in 3-D, the coarse
map projected after it was copied to the windows. Any dtype. Shares no code with the package.
"""

import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

MODES = ("auto", "global", "neighbour")


def options(**changes):
    """Sizes of the variant T and the published choices, changed as asked."""
    known = {
        "depths": (1,) * 7,
        "refinement_depths": (1, 1),
        "width": 24,
        "refinement_width": 24,
        "heads": 6,
        "window": (6, 8, 8),
        "mutual_ratio": 0.75,
        "branches": ("auto",) * 4,
        "padding": "compatible",
    }
    return SimpleNamespace(**{**known, **changes})


class Attention(nn.Module):
    def __init__(self, dim, o, window, mutual):
        super().__init__()
        self.window, self.heads, self.mutual = window, o.heads, mutual
        half = dim // 2
        entries = math.prod(2 * w - 1 for w in window)
        self.hi_relative_position_bias_table = nn.Parameter(torch.randn(entries, o.heads))
        self.lo_relative_position_bias_table = nn.Parameter(torch.randn(entries, o.heads // 2))
        self.g_relative_position_bias_table = nn.Parameter(torch.randn(entries, o.heads // 2))
        self.hi_qkv_self = nn.Linear(dim, 3 * dim)
        self.lo_q = nn.Linear(dim, half)
        self.lo_kv = nn.Linear(dim, 2 * half)
        self.g_q_self = nn.Linear(dim, half)
        self.g_kv_self = nn.Linear(dim, 2 * half)
        self.fusion = nn.Linear(2 * dim, dim)
        if mutual:
            self.hi_qkv_mut = nn.Linear(dim, 3 * dim)
            self.g_q_mut = nn.Linear(dim, half)
            self.g_kv_mut = nn.Linear(dim, 2 * half)
        self.proj = nn.Linear(dim + (dim + half if mutual else 0), dim)
        self.register_buffer("relative_position_index", self.index(), persistent=True)
        if mutual:
            self.code = sine_code(window[1], window[2], dim)
            self.register_buffer("position_bias", self.code[None].float())

    def index(self):
        """Row of the table for each pair of tokens of a full window."""
        tokens = torch.stack(
            torch.meshgrid(*(torch.arange(w) for w in self.window), indexing="ij")
        ).flatten(1)
        difference = tokens[:, :, None] - tokens[:, None, :]
        row = 0
        for axis, w in enumerate(self.window):
            row = row * (2 * w - 1) + difference[axis] + w - 1
        return row

    def forward(self, win, coarse, masks):
        """win (windows, N, C), coarse (windows, N, C), masks of the five attentions."""
        n = win.shape[1]
        frames = n // math.prod(self.window[1:])
        index = self.relative_position_index[:n, :n]
        even = torch.zeros(frames, *self.window[1:], dtype=torch.bool)
        even[:, ::2, ::2] = True
        even = even.flatten()
        q, k, v = self.hi_qkv_self(win).chunk(3, -1)
        hi = self.attend(q, k, v, self.heads, self.hi_relative_position_bias_table, index, masks.hi)
        k, v = self.lo_kv(masks.pool(win, frames)).chunk(2, -1)
        table = self.lo_relative_position_bias_table
        lo = self.attend(self.lo_q(win), k, v, self.heads // 2, table, index[:, even], masks.lo)
        k, v = self.g_kv_self(coarse).chunk(2, -1)
        table = self.g_relative_position_bias_table
        g = self.attend(self.g_q_self(win), k, v, self.heads // 2, table, index, masks.g)
        out = self.fusion(torch.cat([hi, lo, g], -1))
        if not self.mutual:
            return self.proj(out)
        code = torch.cat([self.code, self.code]).to(win.dtype)
        first, second = slice(0, n // 2), slice(n // 2, n)
        q, k, v = self.hi_qkv_mut(win + code).chunk(3, -1)
        heads = self.heads
        one = self.attend(q[:, second], k[:, first], v[:, first], heads, mask=masks.hi_mut)
        two = self.attend(q[:, first], k[:, second], v[:, second], heads, mask=masks.hi_mut)
        hi = torch.cat([one, two], 1)
        q = self.g_q_mut(win + code)
        k, v = self.g_kv_mut(coarse + code).chunk(2, -1)
        heads = self.heads // 2
        one = self.attend(q[:, second], k[:, first], v[:, first], heads, mask=masks.g_mut)
        two = self.attend(q[:, first], k[:, second], v[:, second], heads, mask=masks.g_mut)
        g = torch.cat([one, two], 1)
        return self.proj(torch.cat([hi, g, out], -1))

    @staticmethod
    def attend(q, k, v, heads, table=None, index=None, mask=None):
        split = [t.reshape(*t.shape[:2], heads, -1).transpose(1, 2) for t in (q, k, v)]
        q, k, v = split
        logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        if table is not None:
            logits = logits + table[index.reshape(-1)].view(*index.shape, -1).permute(2, 0, 1)
        if mask is not None:
            # One mask for each window of a sample; samples follow one another.
            logits = logits.view(-1, len(mask), *logits.shape[1:]) + mask[:, None].to(q.dtype)
            logits = logits.flatten(0, 1)
        return (logits.softmax(-1) @ v).transpose(1, 2).flatten(2)


def sine_code(rows, cols, dim):
    """2-D sine position code, as in DETR with normalisation."""
    per_axis = dim // 2
    code = torch.zeros(rows, cols, dim, dtype=torch.float64)
    for r in range(rows):
        for c in range(cols):
            for at, place, length in ((0, r, rows), (per_axis, c, cols)):
                angle = (place + 1) / (length + 1e-6) * 2 * math.pi
                for i in range(per_axis):
                    wave = angle / 10000 ** (2 * (i // 2) / per_axis)
                    code[r, c, at + i] = math.cos(wave) if i % 2 else math.sin(wave)
    return code.flatten(0, 1)


class Mlp(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc11 = nn.Linear(dim, 2 * dim)
        self.fc12 = nn.Linear(dim, 2 * dim)
        self.fc2 = nn.Linear(2 * dim, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc11(x) + self.fc12(x)))


def cut(x, window):
    """(B, D, H, W, C) to (B * windows, N, C)."""
    b, d, h, w, c = x.shape
    a, r, k = window
    x = x.view(b, d // a, a, h // r, r, w // k, k, c).permute(0, 1, 3, 5, 2, 4, 6, 7)
    return x.reshape(-1, a * r * k, c)


def join(x, window, size):
    b, d, h, w = size
    a, r, k = window
    x = x.view(b, d // a, h // r, w // k, a, r, k, -1).permute(0, 1, 4, 2, 5, 3, 6, 7)
    return x.reshape(b, d, h, w, -1)


class Block(nn.Module):
    def __init__(self, dim, o, scale, temporal, shifted):
        super().__init__()
        self.o, self.scale, self.shifted, self.temporal = o, scale, shifted, temporal
        self.window = (2, *o.window[1:]) if temporal else tuple(o.window)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = Attention(dim, o, self.window, temporal)
        self.mlp = Mlp(dim)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def attention(self, x):
        b, d, h, w, _ = x.shape
        window = self.window if self.temporal else (min(d, self.window[0]), *self.window[1:])
        shift = [
            s // 2 if self.shifted and length > s else 0
            for length, s in zip((d, h, w), window, strict=True)
        ]
        pads = [-length % s for length, s in zip((d, h, w), window, strict=True)]
        x = F.pad(x, (0, 0, 0, pads[2], 0, pads[1], 0, pads[0]))
        real = F.pad(torch.ones(d, h, w, dtype=x.dtype), (0, pads[2], 0, pads[1], 0, pads[0]))
        back = [-s for s in shift]
        x, real = torch.roll(x, back, (1, 2, 3)), torch.roll(real, back, (0, 1, 2))
        if self.o.padding == "compatible":
            real = torch.ones_like(real)
        size = (b, *x.shape[1:4])
        coarse, seen = self.coarse(x, real, window)
        masks = Masks(self.o, size[1:], window, shift, real, seen, b)
        out = join(self.attn(cut(x, window), coarse, masks), window, size)
        return torch.roll(out, shift, (1, 2, 3))[:, :d, :h, :w]

    def coarse(self, x, real, window):
        """Each window's coarse tokens, and how much of each is no padding."""
        b, d, h, w, _ = x.shape
        rows, cols = h // window[1], w // window[2]
        mode = self.o.branches[(1, 2, 4, 8).index(self.scale)]
        if mode == "auto":
            mode = "global" if rows <= 4 else "neighbour"
        if mode == "global":
            size = window[1:]
        else:
            size = (max(h // 2, window[1]), max(w // 2, window[2]))
        both = torch.cat([x, real[None, ..., None].expand(b, -1, -1, -1, -1)], -1)
        planes = both.flatten(0, 1).permute(0, 3, 1, 2)
        planes = F.interpolate(planes, size, mode="bilinear", align_corners=False)
        both = planes.permute(0, 2, 3, 1).unflatten(0, (b, d))
        x, share = both[..., :-1], both[..., -1:]
        x = x / torch.where(share > 0, share, 1)
        both = torch.cat([x, share], -1)
        windows = []
        for t in range(0, d, window[0]):
            for m in range(rows):
                for n in range(cols):
                    top = self.start(m, window[1], size[0])
                    left = self.start(n, window[2], size[1])
                    part = both[:, t : t + window[0], top : top + window[1]]
                    windows.append(part[:, :, :, left : left + window[2]].flatten(1, 3))
        both = torch.stack(windows, 1).flatten(0, 1)
        return both[..., :-1], both[: len(windows), :, -1]

    @staticmethod
    def start(m, side, length):
        start = 0 if m == 0 else int((m + 0.5) * (side // 2)) - side // 2
        return min(start, length - side)


class Masks:
    """The masks of one call, (windows, queries, keys) each, or None."""

    def __init__(self, o, size, window, shift, real, seen, batch):
        axes = []
        for length, side, s in zip(size, window, shift, strict=True):
            place = torch.arange(length)
            axes.append((place >= length - side).long() + (place >= length - s).long() * bool(s))
        d, r, c = axes
        region = (d[:, None, None] * 3 + r[:, None]) * 3 + c
        plane = (r[:, None] * 3 + c).expand(*size)
        self.window, self.masked, self.real = window, o.padding == "masked", real
        self.parted = any(shift)
        plain = not self.parted and not self.masked
        frame = (1, *window[1:])
        token = cut(region[None, ..., None], window)[..., 0]
        keys = cut(real[None, ..., None], window)[..., 0] > 0
        pool = F.avg_pool2d(real[:, None], 2)[:, 0]
        half = (window[0], window[1] // 2, window[2] // 2)
        self.share = cut(pool[None, ..., None], half).repeat(batch, 1, 1)
        even = torch.zeros(window, dtype=torch.bool)
        even[:, ::2, ::2] = True
        few = token[:, even.flatten()]
        low = self.share[: len(token), :, 0] > 0
        self.hi = None if plain else self.mask(token, token, keys)
        self.lo = None if plain else self.mask(token, few, low)
        self.g = None if plain else self.mask(token, token, seen > 0)
        # Between two frames: rows and columns alone, whatever frame they are of.
        flat = cut(plane[None, ..., None], window)[..., 0][:, : math.prod(frame)]
        still = self.still(keys, window)
        self.hi_mut = None if plain else self.mask(flat, flat, still)
        self.g_mut = None if plain else self.mask(flat, flat, self.still(seen > 0, window))

    @staticmethod
    def still(keys, window):
        """Valid in any frame of the window."""
        return keys.unflatten(1, (window[0], -1)).any(1)

    @staticmethod
    def mask(queries, keys, valid):
        apart = (queries[:, :, None] != keys[:, None]) | ~valid[:, None]
        return torch.zeros(apart.shape).masked_fill(apart, -100.0)

    def pool(self, win, frames):
        _, r, c = self.window
        planes = win.reshape(-1, r, c, win.shape[-1]).permute(0, 3, 1, 2)
        small = F.avg_pool2d(planes, 2).permute(0, 2, 3, 1)
        small = small.reshape(len(win), -1, win.shape[-1])
        if not self.masked:
            return small
        return small / torch.where(self.share > 0, self.share, 1)


class Group(nn.Module):
    def __init__(self, dim, o, scale, depth, temporal):
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(dim, o, scale, temporal, shifted=i % 2 == 1) for i in range(depth)
        )

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


def conv3d(conv, x):
    return conv(x.permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1)


def new_conv(into, out):
    return nn.Conv3d(into, out, (1, 3, 3), padding=(0, 1, 1))


def down(x):
    """Space to depth: channels in the order column offset, row offset, channel."""
    parts = [x[:, :, i::2, j::2] for j in (0, 1) for i in (0, 1)]
    return torch.cat(parts, -1)


def up(x):
    b, d, h, w, c = x.shape
    out = x.new_zeros(b, d, 2 * h, 2 * w, c // 4)
    for number, part in enumerate(x.chunk(4, -1)):
        out[:, :, number % 2 :: 2, number // 2 :: 2] = part
    return out


class Stage(nn.Module):
    def __init__(self, o, number):
        super().__init__()
        dim, scale = o.width, (1, 2, 4, 8, 4, 2, 1)[number]
        self.change = (None, down, down, down, up, up, up)[number]
        features = dim if number == 0 else 4 * dim if number < 4 else dim // 4
        layers = [nn.Identity(), nn.LayerNorm(features)]
        self.reshape = nn.Sequential(*layers, *([nn.Linear(features, dim)] if number else []))
        temporal = int(o.mutual_ratio * o.depths[number])
        self.residual_group1 = Group(dim, o, scale, temporal, True)
        self.linear1, self.conv1 = nn.Linear(dim, dim), new_conv(dim, dim)
        self.residual_group2 = Group(dim, o, scale, o.depths[number] - temporal, False)
        self.linear2, self.conv2 = nn.Linear(dim, dim), new_conv(dim, dim)

    def forward(self, x):
        x = self.reshape(x if self.change is None else self.change(x))
        x = conv3d(self.conv1, self.linear1(self.residual_group1(x))) + x
        return conv3d(self.conv2, self.linear2(self.residual_group2(x))) + x


class Refinement(nn.Module):
    def __init__(self, o, depth):
        super().__init__()
        dim = o.refinement_width
        self.residual_group = Group(dim, o, 1, depth, False)
        self.linear, self.conv = nn.Linear(dim, dim), new_conv(dim, dim)

    def forward(self, x):
        return x + conv3d(self.conv, self.linear(self.residual_group(x)))


class PlainRViDeformer(nn.Module):
    """The reference; frames must be multiples of 8 and at least 64 (with windows of 8)."""

    def __init__(self, **changes):
        super().__init__()
        o = options(**changes)
        self.conv_first = new_conv(4, o.width)
        for number in range(7):
            setattr(self, f"stage{number + 1}", Stage(o, number))
        fine = o.refinement_width
        enter = nn.Sequential(nn.Identity(), nn.LayerNorm(o.width), nn.Linear(o.width, fine))
        self.stage8 = nn.ModuleList([enter, *(Refinement(o, d) for d in o.refinement_depths)])
        self.norm = nn.LayerNorm(fine)
        self.conv_after_body = nn.Linear(fine, o.width)
        self.conv_last = new_conv(o.width, 4)

    def forward(self, clip):
        x = clip.permute(0, 1, 3, 4, 2)
        first = conv3d(self.conv_first, x)
        x1 = self.stage1(first)
        x2 = self.stage2(x1)
        x3 = self.stage3(x2)
        x4 = self.stage4(x3)
        y = self.stage5(x4)
        y = self.stage6(y + x3)
        y = self.stage7(y + x2)
        y = y + x1
        for part in self.stage8:
            y = part(y)
        y = self.conv_after_body(self.norm(y))
        return clip + conv3d(self.conv_last, y + first).permute(0, 1, 4, 2, 3)


def randomise(model, seed):
    """Give every 1-D parameter and every bias table values that show a mistake."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1 or name.endswith("bias_table"):
            noise = torch.randn(parameter.shape, generator=generator) * 0.2
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.data.copy_(noise + centre)
    return model
