"""The HTML of the parts of the Train view, which their modules in static/train fill."""

LIVE = """
<p class="line"><span class="state" role="status"></span> <span class="whose"></span>
<span class="clock" role="timer"></span> <span class="progress"></span>
<span class="doing"></span>
<span class="settings"></span> <button type="button" class="newest"></button></p>
<div class="timeline"><div class="bar"><div></div></div>
  <input type="range" min="0" step="1" disabled></div>
"""
READINGS = """
<p class="summary"></p>
<p class="written first"><span class="label"></span> <span class="prompt"></span><span
  class="completion"></span></p>
<p class="written second"><span class="label"></span> <span class="prompt"></span><span
  class="completion"></span></p>
<ul class="readings"></ul>
<p class="theorem"></p>
"""
TRAINED_ON = "<p class='learnt'></p><p class='again'></p>"
RESET = "<button type='button'></button> <span role='status'></span>"
FOLD = "<button type='button' aria-expanded='false'></button>"
FRONTIER = """
<section class="chart">
  <header><h2></h2><button type="button" class="help">?</button></header>
  <div class="values">
    <span class="value target" hidden><i></i><span class="name"></span><strong></strong></span>
    <span class="value policy" hidden><i></i><span class="name"></span><strong></strong></span>
    <button type="button" class="value ghost" hidden><b class="swatch dash"></b>
      <span class="name"></span><strong></strong></button>
  </div>
  <div class="plot" role="img"></div>
  <p class="remarks"></p>
</section>
"""
MIXTURE = """
<section class="panel" hidden>
  <label class="mix"><small></small>
    <input type="range" min="0" step="0.25" value="1"><output></output></label>
  <p class="said mixed" role="status"></p>
  <ul class="errors" role="alert"></ul>
</section>
"""
EXAMPLE = """
<section class="samples">
  <header><h2></h2>
    <span class="place"><button type="button" class="previous">‹</button> <output></output>
      <button type="button" class="next">›</button></span></header>
  <p class="prompt"></p>
  <p class="none"></p>
  <div class="row"></div>
</section>
"""
CHARTS = "<div class='charts'></div>"
SAMPLES = """
<div class="samples" data-empty="true">
  <div class="heads"><h2><span class="reference"></span></h2>
    <h2><span class="policy"></span> <span class="step"></span></h2>
    <h2><span class="rival"></span></h2>
    <h2><span class="optimum"></span> <span class="beta"></span></h2>
    <h2><span class="rival_optimum"></span></h2></div>
  <p class="none"></p>
  <ol class="rows"></ol>
  <footer><button type="button" class="more" hidden></button>
    <p class="scale"><b>−2</b><i></i><b>+2</b> <span class="tokens"></span></p>
    <p class="scale"><b>−4</b><i></i><b>+4</b> <span class="rewards"></span></p></footer>
</div>
"""
