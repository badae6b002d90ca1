#include "page_style.h"

#include "weft/scaling/colours.h"

namespace weft {
namespace {

constexpr const char* rules = R"css(
*{box-sizing:border-box}
body{margin:0 auto;padding:2rem 1.25rem 3rem;max-width:56rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Noto Sans CJK SC",sans-serif}
h1{font-size:1.7rem;line-height:1.2;margin:0;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:2.6rem 0 .6rem;padding-bottom:.3rem;border-bottom:1px solid var(--grid)}
.subtitle{margin:.35rem 0 0;color:var(--soft);overflow-wrap:anywhere}
.highlights{display:flex;flex-wrap:wrap;gap:.75rem;list-style:none;margin:1.4rem 0 0;padding:0}
.highlights li{flex:1 1 9.5rem;padding:.7rem .9rem;border:1px solid var(--grid);border-radius:.4rem}
.highlights b{display:block;font-size:1.55rem;line-height:1.2;font-variant-numeric:tabular-nums}
.highlights span{display:block}
.highlights small{color:var(--soft)}
.facts{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.2rem 1.2rem;margin:1.4rem 0 0}
.facts dt{color:var(--soft)}
.facts dd{margin:0;overflow-wrap:anywhere}
code{font:.875em/1.5 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;white-space:pre-wrap;
overflow-wrap:anywhere}
.warnings{margin:1.6rem 0 0;padding:.7rem 1rem;border:1px solid var(--exchange);border-left-width:.35rem;
border-radius:.3rem}
.warnings h2{margin:0;border:0;padding:0;font-size:1rem}
.warnings ul{margin:.3rem 0 0;padding-left:1.2rem}
nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none;margin:1.4rem 0 0;padding:.5rem 0;
border-top:1px solid var(--grid);border-bottom:1px solid var(--grid)}
a{color:var(--denoise)}
figure{margin:1.4rem 0 1rem}
figcaption{margin-bottom:.5rem}
figcaption,.note{color:var(--soft)}
figcaption strong{display:block;color:var(--ink)}
figure>svg{display:block;width:100%;height:auto;font-family:inherit}
.strip div{display:grid;grid-template-columns:repeat(6,1fr);gap:.5rem}
.strip span{display:block}
.strip img{display:block;border-radius:.2rem;width:100%;height:auto}
.strip small{color:var(--soft)}
.table{overflow-x:auto;margin:.8rem 0 1.6rem}
.table.long{max-height:27rem;overflow-y:auto;border-bottom:1px solid var(--grid)}
.table.long thead th{position:sticky;top:0;background:var(--paper)}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding-bottom:.3rem;white-space:nowrap}
th,td{padding:.22rem .7rem .22rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--grid)}
th{color:var(--soft);font-weight:500;vertical-align:bottom}
th,td{white-space:nowrap}
.n{text-align:right}
td.long{white-space:normal;min-width:12rem;max-width:24rem;overflow-wrap:anywhere}
footer{margin-top:3rem;color:var(--soft);font-size:.875rem}
@media (max-width:40rem){.strip div{grid-template-columns:repeat(3,1fr)}.facts{display:block}.facts dd{margin-bottom:.5rem}}
@page{margin:15mm}
@media print{
body{max-width:none;padding:0;font-size:10.5pt}
nav{display:none}
h2{break-after:avoid}
figure,.highlights,.warnings li,tr,.table:not(.long){break-inside:avoid}
caption,thead{break-after:avoid}
figure>svg{max-width:17cm}
.table.long{max-height:none;overflow:visible;border:0}
.table.long thead th{position:static}
.table{overflow:visible}
table{font-size:8.5pt}
a{color:inherit;text-decoration:none}
}
)css";

}  // namespace

std::string page_style() {
  return ":root{color-scheme:light dark;" + colour_variables_light() +
         "}\n@media screen and (prefers-color-scheme:dark){:root{" + colour_variables_dark() +
         "}}\n" + colour_rules() + rules;
}

}  // namespace weft
