package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestPortTaken(t *testing.T) {
	u, err := startUpstream(10, loopback())
	if err != nil {
		t.Fatal(err)
	}
	defer u.stop()
	if err := u.become(t.Context(), refusing); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", u.addr); err == nil {
		_ = conn.Close()
		t.Error("a server that is down accepts connections")
	}
	other, err := net.Listen("tcp", u.addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.become(t.Context(), healthy); err == nil || !strings.Contains(err.Error(), u.addr) {
		t.Errorf("the port is taken, and the error is %v", err)
	}
	_ = other.Close()

	if err := u.become(t.Context(), healthy); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + u.addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "fine\n" {
		t.Errorf("got %q, %v", body, err)
	}
}
