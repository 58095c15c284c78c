# An Action Cable node: `REDIS_PORT=… puma -b tcp://127.0.0.1:PORT actioncable.ru`. Nodes that share a Redis are one
# cluster: what a client says goes to every client of every node, the sender included.
require "logger"
require "active_support/all"
require "action_cable"
require "redis"

class FanstormConnection < ActionCable::Connection::Base; end

class RoomChannel < ActionCable::Channel::Base
  def subscribed
    stream_from "room"
  end

  def speak(data)
    ActionCable.server.broadcast("room", { message: data["message"] })
  end
end

config = ActionCable.server.config
config.cable = { "adapter" => "redis", "url" => "redis://127.0.0.1:#{ENV.fetch("REDIS_PORT")}" }
config.connection_class = -> { FanstormConnection }
config.logger = Logger.new(nil)
config.disable_request_forgery_protection = true
config.worker_pool_size = 4
run ActionCable.server
