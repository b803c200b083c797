"""How a report looks: from 320 px up, by keyboard, on paper, with contrasts of at least 4.5 to 1 (WCAG 2.2 AA)."""

from typing import Final

STYLE: Final = """
:root{--ink:#1b1f24;--soft:#4f5863;--line:#d4d9df;--back:#f5f6f8;--link:#0a4fb3;--bar:#2459b0;--pale:#a9c3ee;--mark:#8a2c0d;
  --good:#17663a;--bad:#a12622;--wait:#7a5200}
*{box-sizing:border-box}
body{margin:0;font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:var(--ink);background:var(--back)}
main{max-width:56rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 1rem;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.25rem 0 .5rem}
h3{font-size:1rem;margin:1.1rem 0 .25rem;overflow-wrap:anywhere}
p{margin:.35rem 0;max-width:46rem;overflow-wrap:anywhere}
a{color:var(--link)}
a:focus-visible,[tabindex]:focus-visible,summary:focus-visible{outline:3px solid var(--link);outline-offset:2px}
code{font:.875em ui-monospace,monospace;overflow-wrap:anywhere}
.over{margin:0;font-size:.875rem;letter-spacing:.06em;text-transform:uppercase;color:var(--soft)}
.note,footer{color:var(--soft);font-size:.9375rem}
.verdict{background:#fff;border:1px solid var(--line);border-left:.5rem solid var(--wait);border-radius:.5rem;
  padding:1rem 1.2rem}
.verdict b{display:block;overflow-wrap:anywhere;font-size:1.6rem;line-height:1.2;color:var(--wait)}
.verdict p{font-size:1.0625rem}
.ship{border-left-color:var(--good)}.ship b,.within{color:var(--good)}
.stop{border-left-color:var(--bad)}.stop b,.worse{color:var(--bad)}
.unknown{color:var(--wait)}
dl{display:flex;flex-wrap:wrap;gap:.4rem 1.75rem;margin:1rem 0 0}
dt{font-size:.8125rem;color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.checks{list-style:none;margin:.5rem 0;padding:0;background:#fff;border:1px solid var(--line);border-radius:.5rem}
.checks li{display:grid;align-content:start;grid-template-columns:1.4rem 1fr;gap:0 .5rem;padding:.55rem .9rem;
  border-top:1px solid var(--line)}
.checks li:first-child{border-top:0}
.checks b{font-weight:600}.checks span{grid-column:2;color:var(--soft);font-size:.9375rem;overflow-wrap:anywhere}
.checks i{font-style:normal;font-weight:700;color:var(--good)}.checks .failed i,.checks .failed b{color:var(--bad)}
.card h3:first-child{margin-top:0}
.card{background:#fff;border:1px solid var(--line);border-radius:.5rem;padding:.9rem 1.1rem;margin:.6rem 0}
.row{margin:.2rem 0 .5rem}
.row b,.row span{overflow-wrap:anywhere;min-width:0}
.row>div{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 1rem}
.row span,td{font-variant-numeric:tabular-nums}
.row span{color:var(--soft);font-size:.9375rem}
.row svg,.axis svg{display:block;width:100%;overflow:visible}
.axis{position:relative;height:1.4rem;font-size:.8125rem;color:var(--soft)}
.axis span,.ways span{position:absolute;white-space:nowrap}
.ways{position:relative;height:1.3rem;font-size:.8125rem;color:var(--soft)}.ways span{padding:0 .35rem}
.plot{display:grid;grid-template-columns:auto 1fr;gap:.3rem .5rem;font-size:.8125rem;color:var(--soft);margin:.75rem 0 .25rem}
.plot svg{width:100%;height:13rem;display:block;background:#fff;overflow:hidden}
.ys{position:relative;min-width:3.6rem}
.ys span{position:absolute;right:0;transform:translateY(-50%);white-space:nowrap;font-variant-numeric:tabular-nums}
.xs{grid-column:2;display:flex;justify-content:space-between}
.grid{stroke:#e3e7ec;stroke-width:1}.zero{stroke:var(--ink);stroke-width:1.5}
.bar{stroke:var(--mark);stroke-width:2;stroke-dasharray:5 3}
.reach{stroke:var(--bar);stroke-width:4;stroke-linecap:round}.alone{stroke:var(--pale);stroke-width:9}
.dot{fill:var(--bar);stroke:#fff;stroke-width:2}
.band{fill:var(--pale);opacity:.75}.way{fill:none;stroke:var(--bar);stroke-width:2.5}
.point{stroke:var(--bar);stroke-width:8;stroke-linecap:round}
.thin{stroke:var(--bar);stroke-width:1.5}
.key{display:inline-block;width:1.6rem;height:.45rem;margin:0;vertical-align:middle;background:var(--bar)}
.key.pale{background:var(--pale)}.key.dash{height:0;background:none;border-top:2px dashed var(--mark)}
.plot line,.plot path{vector-effect:non-scaling-stroke}
.scroll{overflow-x:auto;margin:.5rem 0}
table{border-collapse:collapse;width:100%;font-size:.9375rem}
caption{text-align:left;color:var(--soft);padding-bottom:.25rem}
th,td{text-align:right;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);font-weight:400;white-space:nowrap}
th:first-child,td:first-child{white-space:normal;min-width:7rem}
th:nth-child(-n+2),td:first-of-type{text-align:left}
td:first-of-type{white-space:normal;overflow-wrap:anywhere;min-width:8rem}
thead th{color:var(--soft);font-size:.8125rem}
summary{cursor:pointer;color:var(--link);padding:.25rem 0}
footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.75rem;font-size:.875rem}
@media(min-width:48rem){main{padding-top:2.5rem}.checks{display:grid;grid-template-columns:1fr 1fr}
.checks li:nth-child(2){border-top:0}
.plot svg{height:17rem}}
@media print{body{background:#fff;font-size:11pt}main{max-width:none;padding:0}
.card,.verdict,.checks li,.plot,.row,tr{break-inside:avoid}.tall{break-inside:auto}
.scroll{overflow:visible}td{white-space:normal}td:last-child{white-space:nowrap}
h2,h3{break-after:avoid}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
