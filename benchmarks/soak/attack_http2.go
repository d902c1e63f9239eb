package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// field is a header of HTTP/2.
type field struct{ name, value string }

// stream writes frames of one stream after its headers.
type stream func(f *http2.Framer, id uint32) error

// frames opens a connection of HTTP/2 and a stream on it, as no client does that
// keeps the rules. If it is not to be kept open it ends when the server answers.
func (v *victim) frames(method, path string, keep bool, after stream, settings []http2.Setting, fields ...field) func(context.Context) (func(), error) {
	return func(ctx context.Context) (func(), error) {
		conn, err := v.raw(ctx, http2.ClientPreface)
		if err != nil {
			return nil, err
		}
		f := http2.NewFramer(conn, conn)
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block)
		for _, h := range append([]field{{":method", method}, {":scheme", "http"}, {":authority", "victim"}, {":path", path}}, fields...) {
			_ = encoder.WriteField(hpack.HeaderField{Name: h.name, Value: h.value}) // a buffer has no errors
		}
		const id = 1
		err = errors.Join(
			f.WriteSettings(settings...),
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: after == nil}),
		)
		if err == nil && after != nil {
			err = after(f, id)
		}
		if err != nil || keep {
			pause(ctx, work)
			return func() { _ = conn.Close() }, err
		}
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(patience)) // of an open connection it cannot fail
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return nil, nil
			}
			switch frame := frame.(type) {
			case *http2.RSTStreamFrame, *http2.GoAwayFrame:
				return nil, nil
			case *http2.SettingsFrame:
				if !frame.IsAck() {
					_ = f.WriteSettingsAck() // the next read tells
				}
			case *http2.HeadersFrame:
				if frame.StreamEnded() {
					return nil, nil
				}
			case *http2.DataFrame:
				if frame.StreamEnded() {
					return nil, nil
				}
			}
		}
	}
}

func (v *victim) attacksByHTTP2(closers *[]func()) []attack {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	*closers = append(*closers, transport.CloseIdleConnections)
	to := func(method, path, key, body string) *target {
		return v.target("HTTP/2", &http.Client{Transport: transport}, method, path, key, body)
	}
	data := func(text string, end bool) stream {
		return func(f *http2.Framer, id uint32) error { return f.WriteData(id, end, []byte(text)) }
	}
	nothing := func(*http2.Framer, uint32) error { return nil }
	cancel := func(after time.Duration, end bool) stream {
		return func(f *http2.Framer, id uint32) error {
			err := f.WriteData(id, end, nil)
			time.Sleep(after)
			return errors.Join(err, f.WriteRSTStream(id, http2.ErrCodeCancel))
		}
	}
	broken := func(f *http2.Framer, id uint32) error {
		return errors.Join(f.WriteData(id, false, []byte("abc")), f.WriteRSTStream(id, http2.ErrCodeProtocol))
	}
	length := func(n int) field { return field{"content-length", strconv.Itoa(n)} }
	noWindow := []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}}
	const long = 1000
	var all []attack
	for _, route := range []struct {
		t    *target
		path string
	}{
		{to(http.MethodPost, "/upload", "", "honest"), "/upload"},
		{to(http.MethodPost, "/proxy", "/proxy", "honest"), "/proxy"},
	} {
		post := func(name string, keep bool, after stream, fields ...field) attack {
			return attack{name, route.t, v.frames(http.MethodPost, route.path, keep, after, nil, fields...)}
		}
		all = append(all,
			post("body shorter than announced", false, data("abc", true), length(long)),
			post("body longer than announced", false, data("abcdef", true), length(3)),
			post("body that stops, held open", true, data("abc", false), length(long)),
			post("body that never comes", true, nothing, length(long)),
			post("endless body", true, data("abc", false)),
			post("stream reset amid its body", true, cancel(work, false), length(long)),
			post("stream reset as a fault", true, broken, length(long)),
		)
	}
	reached, rpc := to(http.MethodGet, "/work", "", ""), to(http.MethodPost, "/connect", "", "{}")
	big, proxy := to(http.MethodGet, "/big", "", ""), to(http.MethodGet, "/proxy", "/proxy", "")
	return append(all,
		attack{"stream reset while it is served", reached, v.frames(http.MethodGet, "/work", true, cancel(work/2, true), nil)},
		attack{"Connect-Timeout-Ms: 1", rpc, v.frames(http.MethodPost, "/connect", false, data("{}", true), nil, field{"connect-timeout-ms", "1"}, field{"connect-protocol-version", "1"}, field{"content-type", "application/json"})},
		attack{"no window for the response", big, v.frames(http.MethodGet, "/big", true, nil, noWindow)},
		attack{"no window for the response", proxy, v.frames(http.MethodGet, "/proxy", true, nil, noWindow)},
		attack{"invalid header", proxy, v.frames(http.MethodGet, "/proxy", false, nil, nil, field{"x-bad", "a\x00b"})},
		attack{"header of a connection", proxy, v.frames(http.MethodGet, "/proxy", false, nil, nil, field{"connection", "upgrade"}, field{"upgrade", "soak"})},
	)
}
