package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// httpDriver makes requests and counts them by what it sees.
type httpDriver struct {
	tally    *tally
	one, two *http.Client // over HTTP/1.1 and HTTP/2
	fresh    *http.Client // over a new connection each time
	guarded  *httpServer
	crude    *httpServer
	arrivals *arrivals
	ids      atomic.Int64
	// Both are held for reading by calls that a server which stops at that moment
	// would leave undecided: which of two things ended them, or whether the server
	// saw its client go. So guarded is restarted between two calls.
	crudeCalls, guardedCalls sync.RWMutex
}

func (w *world) addHTTP() error {
	served, client, arrivals := new(tally), new(tally), new(arrivals)
	atClient := breakers()
	atServer := guarding(cutRoute)
	guarded, err := newHTTPServer(guardedHandler(served, atServer, arrivals))
	if err != nil {
		return err
	}
	w.closers = append(w.closers, guarded.kill)
	crude, err := newHTTPServer(crudeHandler())
	if err != nil {
		return err
	}
	w.closers = append(w.closers, crude.kill)

	over := func(set func(*http.Transport)) *http.Client {
		base := &http.Transport{Protocols: new(http.Protocols)}
		set(base)
		w.closers = append(w.closers, base.CloseIdleConnections)
		return &http.Client{Transport: roundtrip.New(atClient, &roundtrip.Options{Base: marking{base}, ProbeLease: lease})}
	}
	d := &httpDriver{
		tally: client, guarded: guarded, crude: crude, arrivals: arrivals,
		one: over(func(t *http.Transport) { t.Protocols.SetHTTP1(true) }),
		two: over(func(t *http.Transport) { t.Protocols.SetUnencryptedHTTP2(true) }),
		fresh: over(func(t *http.Transport) {
			t.Protocols.SetHTTP1(true)
			t.DisableKeepAlives = true
		}),
	}
	w.add(&layer{name: "HTTP client (roundtrip)", tally: client, source: atClient, workers: 6, between: time.Millisecond, call: d.call})
	w.add(&layer{name: "HTTP server (httpmw)", tally: served, source: atServer, call: nil})
	w.begin = append(w.begin, func(ctx context.Context, wg *sync.WaitGroup) {
		restarting(ctx, wg, 2*time.Second, func() {
			d.guardedCalls.Lock()
			defer d.guardedCalls.Unlock()
			for _, client := range []*http.Client{d.one, d.two} {
				client.CloseIdleConnections() // which Shutdown would give a second to HTTP/2
			}
			guarded.shutdown()
		}, guarded.start)
		restarting(ctx, wg, time.Second, func() {
			d.crudeCalls.Lock()
			defer d.crudeCalls.Unlock()
			crude.kill()
		}, crude.start)
	})
	return nil
}

// call makes one request of some kind.
func (d *httpDriver) call(ctx context.Context, rng *rand.Rand) {
	client := d.one
	if rng.IntN(2) == 0 {
		client = d.two
	}
	const kinds = 16
	kind := rng.IntN(kinds)
	switch kind {
	case 11:
		d.brokenUpload(ctx)
		return
	case 12:
		d.partly(ctx, client)
		return
	case 13, 14:
		d.get(ctx, client, d.crude, "/ok", "")
		return
	}
	d.guardedCalls.RLock()
	defer d.guardedCalls.RUnlock()
	switch kind {
	case 0:
		d.get(ctx, client, d.guarded, "/fail", "")
	case 1:
		d.get(ctx, client, d.guarded, "/sometimes", "bad")
	case 2, 3:
		d.get(ctx, client, d.guarded, "/sometimes", "")
	case 4:
		d.cancelled(ctx, client)
	case 5:
		d.late(ctx, client)
	case 6:
		d.get(ctx, client, d.guarded, "/panic", "")
	case 7:
		d.get(ctx, client, d.guarded, "/cut", "")
	case 8:
		d.events(ctx, client)
	case 9:
		d.upgrade(ctx)
	case 10:
		d.slowUpload(ctx, client)
	default:
		d.get(ctx, client, d.guarded, "/ok", "")
	}
}

// request makes a request to a server; a nil body is none.
func request(ctx context.Context, method string, s *httpServer, path, id string, body io.Reader) *http.Request {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.addr+path, body)
	if err != nil {
		panic(err) // the address is ours
	}
	if id != "" {
		req.Header.Set(idHeader, id)
	}
	return req
}

// seen counts a call by its response, or its error, and reports whether there is
// a body to go on with, which then decides.
func (d *httpDriver) seen(resp *http.Response, err error) bool {
	switch {
	case errors.Is(err, core.ErrOpen):
		d.tally.refused.Add(1)
	case err != nil:
		d.tally.either.Add(1) // a restart: calls that end with one connection of HTTP/2 count once
	case resp.StatusCode >= http.StatusInternalServerError:
		d.tally.failures.Add(1)
		drain(resp)
	default:
		return true
	}
	return false
}

func drain(resp *http.Response) {
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}

func (d *httpDriver) get(ctx context.Context, client *http.Client, s *httpServer, path, id string) {
	d.read(client.Do(request(ctx, http.MethodGet, s, path, id, nil)))
}

// read counts a call whose body is read to its end.
func (d *httpDriver) read(resp *http.Response, err error) {
	if !d.seen(resp, err) {
		return
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	d.ended(resp, err)
}

// ended counts a call whose response ended with err.
func (d *httpDriver) ended(resp *http.Response, err error) {
	switch {
	case err == nil:
		d.tally.successes.Add(1)
	case resp.ProtoMajor > 1: // see seen
		d.tally.either.Add(1)
	default:
		d.tally.failures.Add(1)
	}
}

// cancelled is a request that its caller gives up once it is being handled.
func (d *httpDriver) cancelled(ctx context.Context, client *http.Client) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	id := strconv.FormatInt(d.ids.Add(1), 10)
	arrived, over := d.arrivals.expect(id), make(chan struct{})
	gaveUp := make(chan bool)
	go func() {
		select {
		case <-arrived:
			cancel()
			gaveUp <- true
		case <-over:
			gaveUp <- false
		}
	}()
	resp, err := client.Do(request(ctx, http.MethodGet, d.guarded, "/wait", id, nil)) //nolint:bodyclose // seen does
	close(over)
	if <-gaveUp || ctx.Err() != nil {
		d.tally.ignored.Add(1)
		return
	}
	d.arrivals.arrived(id) // it was refused, or the server was away
	if d.seen(resp, err) {
		panic("only its caller ends this request")
	}
}

// late is a request that its caller's deadline ends.
func (d *httpDriver) late(ctx context.Context, client *http.Client) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	ctx, admitted := marked(ctx)
	resp, err := client.Do(request(ctx, http.MethodGet, d.guarded, "/wait", "", nil)) //nolint:bodyclose // seen does
	if err != nil && !errors.Is(err, core.ErrOpen) && !admitted.Load() {
		return // it was too late before it began, and a breaker takes no notice
	}
	if d.seen(resp, err) {
		panic("only its deadline ends this request")
	}
}

// events is a stream that counts when its header is flushed, and of which two
// events are read: when the second one comes, it has been counted.
func (d *httpDriver) events(ctx context.Context, client *http.Client) {
	resp, err := client.Do(request(ctx, http.MethodGet, d.guarded, "/events", "", nil))
	if !d.seen(resp, err) {
		return
	}
	d.tally.successes.Add(1)
	for lines := bufio.NewReader(resp.Body); err == nil; {
		var line string
		if line, err = lines.ReadString('\n'); line == "data: two\n" {
			break
		}
	}
	_ = resp.Body.Close()
}

// upgrade is a connection that the handler takes over.
func (d *httpDriver) upgrade(ctx context.Context) {
	req := request(ctx, http.MethodGet, d.guarded, "/upgrade", "", nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "soak")
	resp, err := d.one.Do(req) //nolint:bodyclose // it is, below, as a connection
	if !d.seen(resp, err) {
		return
	}
	d.tally.successes.Add(1)
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		panic("the connection of an upgrade cannot be written to")
	}
	_, _ = io.WriteString(conn, "hello\n")
	_, _ = bufio.NewReader(conn).ReadString('\n')
	_ = conn.Close()
}

// slowUpload sends a body bit by bit.
func (d *httpDriver) slowUpload(ctx context.Context, client *http.Client) {
	r, w := io.Pipe()
	go func() {
		for range 4 {
			if _, err := io.WriteString(w, "slow"); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
		_ = w.Close() // a pipe has no error there
	}()
	d.read(client.Do(request(ctx, http.MethodPost, d.guarded, "/upload", "", r)))
	_ = r.Close() // as above: if it was not read, the writer goes on
}

var errBody = errors.New("the caller's file cannot be read")

// brokenUpload has a body that fails, which is no fault of the host.
func (d *httpDriver) brokenUpload(ctx context.Context) {
	d.crudeCalls.RLock()
	defer d.crudeCalls.RUnlock()
	body := &broken{r: strings.NewReader("half of it")}
	resp, err := d.fresh.Do(request(ctx, http.MethodPost, d.crude, "/upload", "", body))
	if body.failed.Load() {
		d.tally.ignored.Add(1)
		if err == nil {
			drain(resp)
		}
		return
	}
	d.read(resp, err) // refused, or the server was away
}

type broken struct {
	r      io.Reader
	failed atomic.Bool
}

func (b *broken) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err == io.EOF {
		b.failed.Store(true)
		err = errBody
	}
	return n, err
}

// partly is a response of which only the beginning is wanted.
func (d *httpDriver) partly(ctx context.Context, client *http.Client) {
	resp, err := client.Do(request(ctx, http.MethodGet, d.crude, "/big", "", nil))
	if !d.seen(resp, err) {
		return
	}
	_, err = io.ReadFull(resp.Body, make([]byte, 1<<10))
	_ = resp.Body.Close()
	d.ended(resp, err)
}
