"""How the preview page looks: from 320 px up, by keyboard, with contrasts of at least 4.5 to 1 (WCAG 2.2 AA)."""

from typing import Final

STYLE: Final = """
:root{--ink:#1b1f24;--soft:#4f5863;--line:#d4d9df;--back:#f5f6f8;--link:#0a4fb3;--bar:#2f6fd0;--mark:#8a2c0d}
*{box-sizing:border-box}
body{margin:0;font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:var(--ink);background:var(--back)}
main{max-width:64rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 .75rem;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2rem 0 .75rem}
h3{font-size:1rem;margin:0;overflow-wrap:anywhere}
p{margin:.35rem 0;overflow-wrap:anywhere}
a{color:var(--link)}
a:focus-visible,input:focus-visible,button:focus-visible{outline:3px solid var(--link);outline-offset:2px}
code{font:.875em ui-monospace,monospace;overflow-wrap:anywhere}
.over{margin:0;font-size:.875rem;letter-spacing:.06em;text-transform:uppercase;color:var(--soft)}
.note,.meta,footer{color:var(--soft);font-size:.9375rem}
.alert{border-left:4px solid var(--mark);background:#fff;padding:.6rem .9rem}
dl{display:flex;flex-wrap:wrap;gap:.4rem 1.75rem;margin:0 0 .75rem}
dt{font-size:.8125rem;color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.cards,.levels{list-style-position:inside;margin:0;padding:0;display:grid;gap:.75rem}
.cards>li,.levels>li,.answer{min-width:0;background:#fff;border:1px solid var(--line);border-radius:.5rem;padding:.8rem 1rem}
ul.cards,.levels{list-style:none}
ol.cards>li::marker{color:var(--soft)}ol.cards>li>h3{display:inline}
.more{margin:.35rem 0;padding-left:1.2rem;color:var(--soft);font-size:.9375rem}
.ask{font-size:.9375rem}.ask a{display:inline-block;padding:.25rem 0}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
label{display:block;margin-bottom:.3rem}
.line{display:flex;gap:.5rem}
input{flex:1;min-width:0;font:inherit;padding:.5rem .7rem;border:1px solid #6b7480;border-radius:.4rem;color:inherit;
  background:#fff}
button{font:inherit;padding:.5rem 1.2rem;border:0;border-radius:.4rem;background:var(--link);color:#fff;cursor:pointer}
.answer{margin-top:1rem;border-left:4px solid var(--link)}
table{border-collapse:collapse;margin-top:.75rem;width:100%;max-width:34rem;font-size:.9375rem}
caption{text-align:left;color:var(--soft);padding-bottom:.25rem}
th,td{text-align:right;padding:.25rem .25rem;border-bottom:1px solid var(--line);font-weight:400}
th:first-child{text-align:left;overflow-wrap:anywhere}td{font-variant-numeric:tabular-nums}
.wide{max-width:none}.wide td:last-child,.wide th:last-child{text-align:left;overflow-wrap:anywhere}
.bar{position:relative;height:.5rem;margin-top:.4rem;background:#e3e7ec;border-radius:.25rem}
.bar b{display:block;height:100%;background:var(--bar);border-radius:.25rem}
.bar i{position:absolute;top:-.2rem;bottom:-.2rem;width:3px;margin-left:-1px;background:var(--mark)}
footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.75rem;font-size:.875rem}
@media(min-width:48rem){.cards,.levels{grid-template-columns:1fr 1fr}main{padding-top:2.5rem}}
"""
