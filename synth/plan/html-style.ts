/** How the page looks: colours for light and dark, one column on a phone. */
export const STYLE = `
:root{color-scheme:light dark;--text:#1f2328;--back:#fff;--soft:#59636e;--line:#d1d9e0;--red:#b3161f;--amber:#8a4b00;--purple:#6e2fb5;--green:#116329;--blue:#0550ae}
@media (prefers-color-scheme:dark){:root{--text:#e6edf3;--back:#0d1117;--soft:#9198a1;--line:#3d444d;--red:#ff8a80;--amber:#e3b341;--purple:#d2a8ff;--green:#56d364;--blue:#79c0ff}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:1rem;font:16px/1.5 system-ui,sans-serif;color:var(--text);background:var(--back)}
h1{font-size:1.4rem}h2{font-size:1.15rem;margin:1.5rem 0 .5rem}h3{font-size:1rem;margin:1.2rem 0 .4rem}
code,pre,dt{font-family:ui-monospace,monospace;font-size:.9em;overflow-wrap:anywhere}
.headline{font-weight:600}
dl,dd{margin:0}
dl>div{display:grid;grid-template-columns:minmax(10rem,22rem) 1fr;gap:.2rem 1rem;padding:.25rem 0;border-bottom:1px solid var(--line)}
dd,li,summary,p{overflow-wrap:anywhere}
details,p.object{border:1px solid var(--line);border-radius:6px;padding:.4rem .7rem;margin:.35rem 0}
summary{cursor:pointer}
fieldset{display:flex;flex-wrap:wrap;gap:.3rem 1rem;border:1px solid var(--line);border-radius:6px}
label{min-height:2rem;display:flex;align-items:center;gap:.3rem}
pre{margin:.3rem 0;padding:.5rem;border:1px solid var(--line);border-radius:6px;white-space:pre-wrap;overflow-wrap:anywhere}
pre span,li span{color:var(--soft)}
del{color:var(--red);text-decoration:none}ins{color:var(--green);text-decoration:none}
li del,li ins{font-family:ui-monospace,monospace;font-size:.9em}
.badge{border:1px solid currentColor;border-radius:1em;padding:0 .5em;font-size:.8rem;white-space:nowrap}
.badge.data,.badge.refused,.badge.not-deployed,h2.data,h2.refused,h2.not-deployed,.headline.data,.headline.refused,.headline.not-deployed,label.data,label.refused{color:var(--red)}
.badge.access,.badge.limit,h2.access,h2.limit,.headline.access,.headline.limit{color:var(--purple)}
.badge.restart,.badge.recreate,h2.restart,h2.recreate,.headline.restart,.headline.recreate{color:var(--amber)}
.badge.created,.badge.live{color:var(--green)}
.badge.pruned,.badge.kept{color:var(--blue)}
@media (max-width:40rem){dl>div{grid-template-columns:1fr}body{padding:.6rem}}
`;
