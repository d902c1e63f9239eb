package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// cutKind splits what a client asks for.
func cutKind(text string) (kind, id string) {
	kind, id, _ = strings.Cut(text, ":")
	return kind, id
}

// grpcDriver makes calls and counts them by what it sees.
type grpcDriver struct {
	tally    *tally
	cc       *grpc.ClientConn
	arrivals *arrivals
	ids      atomic.Int64
}

func (w *world) addGRPC() error {
	served, client, arrivals := new(tally), new(tally), new(arrivals)
	atServer, atClient := guarding(streamMethod), breakers()
	server, err := newGRPCServer(func() *grpc.Server { return guardedServer(served, atServer, counting(served, arrivals)) })
	if err != nil {
		return err
	}
	w.closers = append(w.closers, server.kill)
	o := &grpcmw.ClientOptions{ProbeLease: lease}
	cc, err := grpc.NewClient(server.addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1, MaxDelay: 20 * time.Millisecond}, MinConnectTimeout: time.Second}),
		grpc.WithChainUnaryInterceptor(grpcmw.UnaryClientInterceptor(atClient, o), markUnary),
		grpc.WithChainStreamInterceptor(grpcmw.StreamClientInterceptor(atClient, o), markStream))
	if err != nil {
		return err
	}
	w.closers = append(w.closers, func() { _ = cc.Close() })
	d := &grpcDriver{tally: client, cc: cc, arrivals: arrivals}
	w.add(&layer{name: "gRPC client (grpcmw)", tally: client, source: atClient, workers: 6, between: time.Millisecond, call: d.call})
	w.add(&layer{name: "gRPC server (grpcmw)", tally: served, source: atServer})
	w.begin = append(w.begin, func(ctx context.Context, wg *sync.WaitGroup) {
		restarting(ctx, wg, 2*time.Second, server.shutdown, server.start)
	})
	return nil
}

// call makes one call of some kind.
func (d *grpcDriver) call(ctx context.Context, rng *rand.Rand) {
	kinds := [...]string{kindFail, kindPanic, kindCancel, kindLate, kindOK, kindOK, kindOK, kindOK, kindOK, kindOK}
	kind := kinds[rng.IntN(len(kinds))]
	do := d.unary
	if rng.IntN(2) == 0 {
		do = d.stream
	}
	if kind == kindLate {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
	}
	ctx, admitted := marked(ctx)
	err, cancelled := do(ctx, kind)
	switch code := status.Code(err); {
	case errors.Is(err, core.ErrOpen):
		d.tally.refused.Add(1)
	case !admitted.Load(): // too late before it began: a breaker takes no notice
	case cancelled:
		d.tally.ignored.Add(1)
	case err == nil:
		d.tally.successes.Add(1)
	case code == codes.Unavailable:
		d.tally.either.Add(1) // a restart: streams that end together may count once
	case code == codes.Canceled && kind != kindLate:
		d.tally.ignored.Add(1)
	default:
		d.tally.failures.Add(1)
	}
}

func (d *grpcDriver) unary(ctx context.Context, kind string) (err error, cancelled bool) { //nolint:revive // the error is what it is about
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	id := strconv.FormatInt(d.ids.Add(1), 10)
	arrived, over, gaveUp := d.arrivals.expect(id), make(chan struct{}), make(chan bool)
	go func() {
		select {
		case <-arrived:
			if kind == kindCancel {
				cancel()
			}
			gaveUp <- kind == kindCancel
		case <-over:
			gaveUp <- false
		}
	}()
	err = d.cc.Invoke(ctx, unaryMethod, wrapperspb.String(kind+":"+id), new(wrapperspb.StringValue))
	close(over)
	cancelled = <-gaveUp && err != nil
	d.arrivals.arrived(id) // if it never did
	return err, cancelled
}

// stream sends what it wants, receives that back, and then the end.
func (d *grpcDriver) stream(ctx context.Context, kind string) (err error, cancelled bool) { //nolint:revive // as above
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cs, err := d.cc.NewStream(ctx, &grpc.StreamDesc{StreamName: "Stream", ServerStreams: true, ClientStreams: true}, streamMethod)
	if err != nil {
		return err, false
	}
	if err := cs.SendMsg(wrapperspb.String(kind)); err != nil && !errors.Is(err, io.EOF) {
		return err, false
	}
	if kind != kindCancel {
		if err := cs.CloseSend(); err != nil {
			return err, false
		}
	}
	for reply := new(wrapperspb.StringValue); ; {
		switch err := cs.RecvMsg(reply); {
		case errors.Is(err, io.EOF):
			return nil, cancelled
		case err != nil:
			return err, cancelled
		case kind == kindCancel:
			cancelled = true
			cancel()
		}
	}
}
