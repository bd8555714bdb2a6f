//! The pages of a small web.

use instar_testkit::web::Answer;

/// A public address; nothing is ever sent there.
pub(crate) const SHOP: &str = "http://8.8.8.8";

const SHOP_PAGE: &str = r#"<!doctype html><title>The shop</title>
<style>.sr{position:absolute;left:-9999px}.clip{position:absolute;clip:rect(0,0,0,0);overflow:hidden;width:1px;height:1px}</style>
<h1>Tea &amp; cake</h1><p>Two   cups please. <a href="/cart">The cart</a></p>
<p style="display:none">HIDDEN-1</p><p style="visibility:hidden">HIDDEN-2</p><p style="opacity:0">HIDDEN-3</p>
<p style="color:#fff">HIDDEN-4</p><p style="font-size:0">HIDDEN-5</p><p class="sr">HIDDEN-6</p>
<p class="clip">HIDDEN-7</p><p aria-hidden="true">HIDDEN-8</p><details><summary>More</summary>HIDDEN-9</details>
<p style="color:transparent">HIDDEN-10</p><p style="text-indent:-9999px">HIDDEN-11</p><!-- HIDDEN-12 -->
<p style="clip-path:inset(100%)">HIDDEN-13</p><p hidden>HIDDEN-14</p>
<p style="position:relative"><span style="position:absolute;transform:translateX(-9000px)">HIDDEN-15</span></p>
<p>vis&#x200b;ible</p>
<form><input type="hidden" name="checkVisibility"><p>clobbered</p></form>
<form action="/order" method="get"><label>Name <input name="who"></label>
<label>Kind <select name="kind"><option value="g">Green</option><option value="b">Black</option></select></label>
<label>Secret <input type="password" name="pin"></label><button>Order</button></form>
<button id="ask" onclick="document.title = confirm('Really pay?') ? 'paid' : 'not paid'">Pay</button>
<button id="late" onclick="this.textContent='Delete all'">Change</button>
<div style="position:relative;width:200px;height:40px"><button style="position:absolute;inset:0">Under</button><div style="position:absolute;inset:0;background:#ccc">over</div></div>
<a href="/popup" target="_blank">In a new page</a> <a href="/file.bin">A file</a>
<iframe srcdoc="<p>inside a frame</p><button>Framed</button>"></iframe>
<div id="host"></div><script>host.attachShadow({mode:'open'}).innerHTML='<p>in the shadow</p>'</script>"#;

const PRYING: &str = r#"<title>Prying</title><p>prying</p>
<img src="http://127.0.0.1:9/x"><img src="http://[::ffff:169.254.169.254]/y"><img src="http://2130706433/z">
<script>
fetch('http://10.1.2.3/').catch(() => {});
new WebSocket('ws://192.168.1.1/');
navigator.sendBeacon('http://100.64.0.1/b', 'x');
const pc = new RTCPeerConnection({iceServers: [{urls: 'stun:8.8.4.4:3478'}]});
pc.createDataChannel('x'); pc.createOffer().then((offer) => pc.setLocalDescription(offer));
</script>"#;

pub(crate) fn pages(path: &str) -> Answer {
    match path {
        "/" => ("200 OK", "set-cookie: who=me; max-age=86400", SHOP_PAGE),
        "/cart" => (
            "200 OK",
            "x: y",
            "<title>Cart</title><p>The cart is empty.</p>",
        ),
        "/order" => ("200 OK", "x: y", "<title>Done</title><p>Ordered.</p>"),
        "/popup" => ("200 OK", "x: y", "<title>Popup</title><p>A new page.</p>"),
        "/file.bin" => (
            "200 OK",
            "content-disposition: attachment; filename=file.bin",
            "bytes",
        ),
        "/inwards" => ("302 Found", "location: http://10.0.0.7/admin", ""),
        "/onwards" => ("302 Found", "location: http://9.9.9.9/cart", ""),
        "/prying" => ("200 OK", "x: y", PRYING),
        _ => ("404 Not Found", "x: y", "<title>None</title><p>nothing</p>"),
    }
}
