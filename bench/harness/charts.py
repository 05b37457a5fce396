"""Bar charts as SVG, without a library."""
from xml.sax.saxutils import escape

COLOURS = {"gantry": "#2a6f97", "gantry-oci": "#2a6f97", "containerd": "#b5838d", "runc": "#b5838d",
           "crun": "#c9a227", "floor": "#8a8a8a"}
WIDTH, LABEL, ROW, TOP = 640, 150, 30, 46


def number(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def bar_chart(title, unit, bars, better):
    """`bars`: (label, contestant, median, low, high). Whiskers go from low to high."""
    largest = max((bar[4] for bar in bars), default=1) or 1
    scale = (WIDTH - LABEL - 110) / largest
    height = TOP + ROW * len(bars) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="20" font-size="15" font-weight="bold" fill="#222">{escape(title)}</text>',
        f'<text x="10" y="37" font-size="11" fill="#666">{escape(unit)}, {escape(better)} is better</text>']
    for index, (label, contestant, median, low, high) in enumerate(bars):
        y = TOP + ROW * index
        middle = y + ROW / 2 - 3
        parts.append(f'<text x="{LABEL - 8}" y="{middle + 4}" text-anchor="end" fill="#222">{escape(label)}</text>')
        parts.append(f'<rect x="{LABEL}" y="{y + 3}" width="{max(1, median * scale):.1f}" height="{ROW - 12}" '
                     f'fill="{COLOURS.get(contestant, "#555")}"/>')
        if high > low:
            parts.append(f'<path d="M{LABEL + low * scale:.1f} {middle}H{LABEL + high * scale:.1f}" '
                         'stroke="#222" stroke-width="1.2"/>')
        parts.append(f'<text x="{LABEL + max(median, high) * scale + 8:.1f}" y="{middle + 4}" '
                     f'fill="#222">{number(median)}</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"
