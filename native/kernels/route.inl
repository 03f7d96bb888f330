void route(Worker&, const RouteArgs&) {}
