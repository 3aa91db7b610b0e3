"""The style sheet of every SVG, for light and dark mode.

The colours are the palette of Okabe and Ito for colour-blind readers. Each colour also has its own shape or line style.
"""

STYLE = """
svg{--paper:#fff;--ink:#15191e;--quiet:#515b66;--band:#f5f7f9;--halo:#fff;
--blue:#0072b2;--blue-in:#e6f1f8;--red:#c24e00;--red-in:#fbe6da;--gold:#8f6200;--gold-in:#fdf1d5;
--pink:#a8447c;--pink-in:#f6e1ee;--green:#007a59;--green-in:#d9f0e8;--grey:#5a6570;--grey-in:#e9ecef;
background:var(--paper);font-family:"Helvetica Neue",Helvetica,Arial,"Liberation Sans","DejaVu Sans",sans-serif}
@media (prefers-color-scheme:dark){svg{--paper:#14171b;--ink:#f0f2f4;--quiet:#a9b3be;--band:#1b1f25;--halo:#14171b;
--blue:#56b4e9;--blue-in:#11293a;--red:#f08a4b;--red-in:#3a1c0c;--gold:#e69f00;--gold-in:#33260a;
--pink:#e08fbb;--pink-in:#38192b;--green:#2fc79a;--green-in:#0b3226;--grey:#aab4bf;--grey-in:#2a3037}}
text{fill:var(--ink)}.quiet,.head{fill:var(--quiet)}.head{letter-spacing:.06em;font-weight:600}
.bold,.mark{font-weight:700}.kind{font-style:italic;font-weight:600}
.mono{font-family:ui-monospace,"SFMono-Regular",Menlo,Consolas,"Liberation Mono","DejaVu Sans Mono",monospace}
.label{font-weight:600;paint-order:stroke;stroke:var(--halo);stroke-width:4px;stroke-linejoin:round}
.paper{fill:var(--paper)}.band{fill:var(--band)}.pivot{fill:var(--ink)}
.box{stroke-width:1.8;stroke:var(--blue);fill:var(--blue-in)}
.passing .box{fill:var(--paper);stroke-dasharray:2 3}
.waiting .box{stroke:var(--grey);fill:var(--paper);stroke-dasharray:6 3}
.failure .box{stroke:var(--red);fill:var(--red-in)}
.undoing .box{stroke:var(--gold);fill:var(--gold-in);stroke-dasharray:8 4}
.stuck .box{stroke:var(--pink);fill:var(--pink-in);stroke-width:3.5}
.quarantine .box{stroke:var(--grey);fill:var(--paper);stroke-width:1;stroke-dasharray:1 2}
.quarantine text{fill:var(--quiet)}
.completed .box{stroke:var(--green);fill:var(--green-in)}
.compensated .box{stroke:var(--grey);fill:var(--grey-in)}
.inner{fill:none}.compensated .inner{stroke-dasharray:2 3}.start .box{fill:var(--ink);stroke:none}
.line{fill:none;stroke-width:1.6;stroke:var(--blue)}.tip{fill:var(--blue)}
.forward .line{stroke-width:3}
.fail .line{stroke:var(--red)}.fail .tip{fill:var(--red)}
.back .line{stroke:var(--gold);stroke-width:2.2;stroke-dasharray:8 4}.back .tip{fill:var(--gold)}
.lost .line,.person .line{stroke:var(--pink)}.lost .tip,.person .tip{fill:var(--pink)}
.person .line{stroke-dasharray:2 4;stroke-width:2}
.quarantine .line{stroke:var(--grey);stroke-width:1;stroke-dasharray:1 4}.quarantine .tip{fill:var(--grey)}
.dim{opacity:.38}.taken .line{stroke-width:5;stroke-dasharray:none}
.failed .box{stroke-width:4.5}.now .box{stroke-width:6}.now .inner{stroke-width:1.8}
.w0{opacity:.38}.w1 .line{stroke-width:1.6}.w2 .line{stroke-width:3}.w3 .line{stroke-width:5}.w4 .line{stroke-width:8}
.h1 .box{stroke-width:3}.h2 .box{stroke-width:5}.h3 .box{stroke-width:8}
.group{fill:var(--paper);stroke:var(--grey);stroke-width:1.4}.bar{fill:var(--ink)}.tie{fill:var(--grey)}
.branch .line{stroke:var(--quiet);stroke-width:1.6}.branch .tip{fill:var(--quiet)}
.added .box,.added .line{stroke:var(--green);stroke-width:4;stroke-dasharray:none}.added .tip,
text.added{fill:var(--green)}
.changed .box,.changed .line{stroke:var(--pink);stroke-width:4;stroke-dasharray:10 3}
.changed .tip,text.changed{fill:var(--pink)}
"""
