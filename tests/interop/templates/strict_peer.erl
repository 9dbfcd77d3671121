%% A Diameter node of Erlang/OTP that is told what to do on its standard input, one Erlang term with a full stop at a
%% time, and prints a line of JSON for whatever happens. What is received is decoded by the grammar of credit_control.dia.
%%
%%   {connect, Address, Port}.   connect to a server; {listen, Address, Port}. is connected to. Prints {"up": CEA or CER}.
%%   {call, #{...}}.             send a CCR and print {"answer": ...}; {repeat, #{...}}. with the T bit, and the End-to-End
%%                               Identifier of the request before it.
%%   {on_request, Code}.         the Result-Code to answer requests with; each request prints {"request": ...}.
%%   statistics.                 print {"statistics": {"DWA": N, "DWR": N}}: how many were received.
%%   stop.                       say goodbye and end; so does the end of the input.
%%
%% A message is {"header", "body", "errors", "strange"}: errors are those of the decoder, strange are the AVPs that the
%% dictionary does not know, or whose M and V bits differ from it.
-module(strict_peer).
-export([main/2]).
-export([peer_up/3, peer_down/3, pick_peer/5, prepare_request/4, prepare_retransmit/4, handle_answer/5, handle_error/5,
         handle_request/3]).
-include_lib("diameter/include/diameter.hrl").

-define(BASE, diameter_gen_base_rfc6733).
-define(OVERLOAD, diameter_gen_doic_rfc7683).

main(Host, Realm) ->
    ok = diameter:start(),
    true = diameter:subscribe(?MODULE),
    Application = fun(Alias, Dictionary) ->
        {application, [{alias, Alias}, {dictionary, Dictionary}, {module, ?MODULE}, {answer_errors, callback},
                       {request_errors, callback}]}
    end,
    ok = diameter:start_service(?MODULE, [
        {'Origin-Host', Host}, {'Origin-Realm', Realm}, {'Vendor-Id', 0}, {'Product-Name', "strict peer"},
        {'Origin-State-Id', diameter:origin_state_id()}, {'Supported-Vendor-Id', [10415]}, {'Auth-Application-Id', [4]},
        {decode_format, map}, {string_decode, false}, {strict_mbit, true},
        Application(base, ?BASE), Application(charging, credit_control)]),
    persistent_term:put(result, 2002),
    spawn(fun() -> diameter:subscribe(?MODULE), events() end),
    loop(0).

loop(Last) ->
    case io:read("") of
        {ok, {call, Body}} -> loop(call(Body, #diameter_header{}));
        {ok, {repeat, Body}} -> loop(call(Body, #diameter_header{end_to_end_id = Last, is_retransmitted = true}));
        {ok, {on_request, Code}} -> persistent_term:put(result, Code), loop(Last);
        {ok, {connect, Address, Port}} -> transport(connect, [{raddr, Address}, {rport, Port}]), loop(Last);
        {ok, {listen, Address, Port}} -> transport(listen, [{ip, Address}, {port, Port}]), loop(Last);
        {ok, statistics} -> statistics(), loop(Last);
        {ok, stop} -> stop();
        eof -> stop()
    end.

transport(Kind, Options) ->
    {ok, _} = diameter:add_transport(?MODULE, {Kind, [
        {transport_module, diameter_tcp}, {transport_config, [{reuseaddr, true} | Options]},
        {watchdog_timer, 6000}, {connect_timer, 1000}, {strict_mbit, true}, {avp_dictionaries, [?OVERLOAD]}]}).

stop() ->
    diameter:stop_service(?MODULE),
    diameter:stop(),
    init:stop().

events() ->
    receive
        #diameter_event{info = {up, _, _, _, Packet}} -> print(#{up => packet(?BASE, Packet)});
        #diameter_event{info = {down, _, _, _}} -> print(#{down => true});
        #diameter_event{info = Closed} when element(1, Closed) == closed -> print(#{closed => text(Closed)});
        #diameter_event{} -> ok
    end,
    events().

statistics() ->
    Counted = lists:append([proplists:get_value(statistics, Info, []) ||
                               Info <- diameter:service_info(?MODULE, connections)]),
    Sum = fun(Bit) -> lists:sum([N || {{{0, 280, B}, recv}, N} <- Counted, B == Bit]) end,
    print(#{statistics => #{'DWA' => Sum(0), 'DWR' => Sum(1)}}).

%% Maps of AVPs: the library has a list for whatever may be missing, the tests only for what may come several times.

listed(Name, Body) when is_map(Body) ->
    maps:map(fun(Avp, Value) ->
        case {credit_control:avp_arity(Name, Avp), Value} of
            {1, _} -> listed(Avp, Value);
            {_, [_ | _]} -> [listed(Avp, Each) || Each <- Value];
            {_, _} -> [listed(Avp, Value)]
        end
    end, Body);
listed(_, Value) -> Value.

single(Dictionary, Name, Body) when is_map(Body) ->
    maps:map(fun('AVP', Others) -> Others;
                (Avp, Value) ->
        case {Dictionary:avp_arity(Name, Avp), Value} of
            {1, _} -> single(Dictionary, Avp, Value);
            {{_, 1}, [One]} -> single(Dictionary, Avp, One);
            {_, Several} -> [single(Dictionary, Avp, Each) || Each <- Several]
        end
    end, Body);
single(_, _, Value) -> Value.

%% Calls

call(Body, Header) ->
    case diameter:call(?MODULE, charging, ['CCR' | listed('CCR', Body)], [{extra, [Header]}, {timeout, 8000}]) of
        {answer, Packet} ->
            print(#{answer => packet(credit_control, Packet)}),
            (Packet#diameter_packet.header)#diameter_header.end_to_end_id;
        Error -> print(#{failure => text(Error)}), 0
    end.

peer_up(_, _, State) -> State.
peer_down(_, _, State) -> State.
pick_peer([Peer | _], _, _, _, _) -> {ok, Peer};
pick_peer([], _, _, _, _) -> false.

prepare_request(#diameter_packet{header = Made, msg = ['CCR' | Body]}, _, {_, Caps}, Header) ->
    {Host, _} = Caps#diameter_caps.origin_host,
    {Realm, _} = Caps#diameter_caps.origin_realm,
    Id = case Header#diameter_header.end_to_end_id of undefined -> Made#diameter_header.end_to_end_id; Same -> Same end,
    {send, #diameter_packet{header = Header#diameter_header{end_to_end_id = Id},
                            msg = ['CCR' | Body#{'Origin-Host' => Host, 'Origin-Realm' => Realm,
                                                 'Auth-Application-Id' => 4}]}}.
prepare_retransmit(Packet, _, _, _) -> {send, Packet}.

handle_answer(Packet, _, _, _, _) -> {answer, Packet}.
handle_error(Reason, _, _, _, _) -> {error, Reason}.

handle_request(Packet = #diameter_packet{msg = [Name | Body]}, _, {_, Caps}) ->
    print(#{request => packet(credit_control, Packet)}),
    {Host, _} = Caps#diameter_caps.origin_host,
    {Realm, _} = Caps#diameter_caps.origin_realm,
    Answer = case Name of 'RAR' -> 'RAA'; 'ASR' -> 'ASA' end,
    {reply, [Answer | #{'Session-Id' => maps:get('Session-Id', Body), 'Result-Code' => persistent_term:get(result),
                        'Origin-Host' => Host, 'Origin-Realm' => Realm}]}.

%% What was received, for printing

packet(Dictionary, #diameter_packet{header = H, msg = [Name | Body], errors = Errors, avps = Avps}) ->
    #{header => #{name => Name, proxiable => H#diameter_header.is_proxiable, error => H#diameter_header.is_error,
                  repeat => H#diameter_header.is_retransmitted},
      body => single(case Name of 'answer-message' -> ?BASE; _ -> Dictionary end, Name, Body),
      errors => [text(Error) || Error <- Errors],
      strange => strange(Dictionary, Avps)}.

strange(Dictionary, Avps) ->
    lists:append([judge(Dictionary, Avp) || Avp <- lists:flatten(Avps)]).

judge(_, #diameter_avp{name = undefined} = Avp) ->
    [text({unknown, Avp#diameter_avp.code, Avp#diameter_avp.vendor_id})];
judge(Dictionary, #diameter_avp{name = Name, is_mandatory = M, vendor_id = V, code = Code}) ->
    Knows = case lists:member(Name, ['OC-Supported-Features', 'OC-Feature-Vector']) of
        true -> ?OVERLOAD;
        false -> Dictionary
    end,
    case Knows:avp_header(Name) of
        {Code, Flags, V} when (Flags band 16#40 /= 0) == M -> [];
        Expected -> [text({Name, {expected, Expected}, {mandatory, M}, {vendor, V}})]
    end.

text(Term) -> iolist_to_binary(io_lib:format("~0p", [Term])).

print(Term) -> io:put_chars([json(Term), $\n]).

json(true) -> "true";
json(false) -> "false";
json(undefined) -> "null";
json(Term) when is_integer(Term) -> integer_to_list(Term);
json(Term) when is_atom(Term) -> [$", atom_to_list(Term), $"];
json(Term) when is_binary(Term) ->
    Octets = binary_to_list(Term),
    case lists:all(fun(C) -> C >= 32 andalso C < 127 end, Octets) of
        true -> [$", [case lists:member(C, "\\\"") of true -> [$\\, C]; false -> C end || C <- Octets], $"];
        false -> ["\"0x", binary:encode_hex(Term), $"]
    end;
json(Term) when is_list(Term) -> [$[, lists:join($,, [json(E) || E <- Term]), $]];
json(Term) when is_map(Term) ->
    [${, lists:join($,, [[json(K), $:, json(V)] || {K, V} <- maps:to_list(Term)]), $}];
json(Term) -> json(text(Term)).
