// Package grpcmw puts circuit breakers into gRPC clients and servers, as
// interceptors:
//
//	cc, err := grpc.NewClient(target,
//		grpc.WithUnaryInterceptor(grpcmw.UnaryClientInterceptor(nil, nil)),
//		grpc.WithStreamInterceptor(grpcmw.StreamClientInterceptor(nil, nil)))
//
//	server := grpc.NewServer(
//		grpc.UnaryInterceptor(grpcmw.UnaryServerInterceptor(nil, nil)),
//		grpc.StreamInterceptor(grpcmw.StreamServerInterceptor(nil, nil)))
//
// A call counts once, when it is really over: a stream when its status is known,
// not when it was opened. Retries that a service config asks for happen further
// in, and are one call. An interceptor that makes a call several times, one after
// the other or at once, belongs outside, with [Retriable]: further in, the attempts
// would share what the breaker learns the outcome by.
//
// Tracing and metrics that are stats handlers, as otelgrpc's, see below a client's
// interceptors and above a server's: a refusal has no client span, and a server
// span with Unavailable.
//
// A refusal is a status with code Unavailable, with RetryInfo and ErrorInfo, and
// matches [core.ErrOpen]. A server adds what keeps clients from retrying it.
//
// A gate that neither admits nor refuses is a fault of the program: a nil or zero
// Breaker, a registry whose Config is not valid, a Gate of the user's whose error
// neither matches [core.ErrOpen] nor is a status. Then the call has code Internal;
// the error at the side that asked has the reason, what goes over the wire has not.
package grpcmw
