#include "services/events/event_bus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/time/clock.h"

namespace gantry::events {
namespace {

using testing::HasSubstr;

Envelope Event(const std::string& topic, const std::string& ns = "default",
               const std::string& value = "") {
  return {.timestamp = absl::Now(),
          .ns = ns,
          .topic = topic,
          .event = {.type_url = "containerd.events.TaskExit", .value = value}};
}

std::unique_ptr<Subscription> Subscribe(EventBus& bus, const std::vector<std::string>& filters,
                                        size_t length = EventBus::kDefaultQueueLength) {
  auto subscription = bus.Subscribe(
      filters, [] {}, length);
  EXPECT_TRUE(subscription.ok()) << subscription.status();
  return *std::move(subscription);
}

std::vector<std::string> Topics(Subscription& subscription) {
  std::vector<std::string> topics;
  while (auto next = subscription.Next()) topics.push_back(next->topic);
  return topics;
}

TEST(EventBusTest, EverySubscriberGetsEveryEventInOrder) {
  EventBus bus;
  const auto one = Subscribe(bus, {});
  const auto two = Subscribe(bus, {});
  ASSERT_TRUE(bus.Publish(Event("/tasks/create")).ok());
  ASSERT_TRUE(bus.Publish(Event("/tasks/start")).ok());
  EXPECT_THAT(Topics(*one), testing::ElementsAre("/tasks/create", "/tasks/start"));
  EXPECT_THAT(Topics(*two), testing::ElementsAre("/tasks/create", "/tasks/start"));
}

TEST(EventBusTest, AnEventFromBeforeTheSubscriptionIsNotSeen) {
  EventBus bus;
  ASSERT_TRUE(bus.Publish(Event("/tasks/create")).ok());
  EXPECT_EQ(Subscribe(bus, {})->Next(), nullptr);
}

TEST(EventBusTest, DockersFilterPicksTheTasksOfItsNamespace) {
  EventBus bus;
  const auto tasks = Subscribe(bus, {"namespace==moby,topic~=|^/tasks/|"});
  ASSERT_TRUE(bus.Publish(Event("/tasks/exit", "moby")).ok());
  ASSERT_TRUE(bus.Publish(Event("/tasks/exit", "default")).ok());
  ASSERT_TRUE(bus.Publish(Event("/containers/create", "moby")).ok());
  ASSERT_TRUE(bus.Publish(Event("/tasks/delete", "moby")).ok());
  EXPECT_THAT(Topics(*tasks), testing::ElementsAre("/tasks/exit", "/tasks/delete"));
}

TEST(EventBusTest, AnyOfSeveralFiltersIsEnough) {
  EventBus bus;
  const auto some = Subscribe(bus, {"topic==/a/b", "namespace==other"});
  ASSERT_TRUE(bus.Publish(Event("/a/b")).ok());
  ASSERT_TRUE(bus.Publish(Event("/c/d", "other")).ok());
  ASSERT_TRUE(bus.Publish(Event("/c/d")).ok());
  EXPECT_THAT(Topics(*some), testing::ElementsAre("/a/b", "/c/d"));
}

TEST(EventBusTest, AFilterOnAFieldOfTheEventAsksTheDecoder) {
  EventBus bus([](const Any& event, std::span<const std::string> path) {
    return path[0] == "container_id" ? std::optional(event.value) : std::nullopt;
  });
  const auto mine = Subscribe(bus, {"event.container_id==c1"});
  ASSERT_TRUE(bus.Publish(Event("/tasks/exit", "default", "c2")).ok());
  EXPECT_EQ(mine->Next(), nullptr);
  ASSERT_TRUE(bus.Publish(Event("/tasks/exit", "default", "c1")).ok());
  EXPECT_NE(mine->Next(), nullptr);
}

TEST(EventBusTest, ABrokenFilterIsRefused) {
  EventBus bus;
  EXPECT_TRUE(absl::IsInvalidArgument(bus.Subscribe({"topic~=|"}, [] {}).status()));
}

TEST(EventBusTest, ASubscriberThatDoesNotReadLosesItsStreamAndHoldsUpNobody) {
  EventBus bus;
  const auto slow = Subscribe(bus, {}, 2);
  const auto quick = Subscribe(bus, {}, 10);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(bus.Publish(Event("/tasks/oom")).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(slow->status())) << slow->status();
  EXPECT_EQ(Topics(*slow).size(), 2u);
  EXPECT_TRUE(quick->status().ok());
  EXPECT_EQ(Topics(*quick).size(), 3u);
}

TEST(EventBusTest, ADestroyedSubscriptionGetsNoMoreCalls) {
  EventBus bus;
  int calls = 0;
  auto subscription = bus.Subscribe({}, [&calls] { ++calls; });
  ASSERT_TRUE(subscription.ok());
  ASSERT_TRUE(bus.Publish(Event("/a")).ok());
  subscription->reset();
  ASSERT_TRUE(bus.Publish(Event("/a")).ok());
  EXPECT_EQ(calls, 1);
}

TEST(EventBusTest, CloseEndsSubscriptionsAndThoseToCome) {
  EventBus bus;
  int calls = 0;
  const auto subscription = bus.Subscribe({}, [&calls] { ++calls; });
  ASSERT_TRUE(subscription.ok());
  bus.Close();
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(absl::IsUnavailable((*subscription)->status()));
  EXPECT_TRUE(absl::IsUnavailable(bus.Subscribe({}, [] {}).status()));
}

TEST(EventBusTest, WhatIsNotAnEnvelopeIsRefusedByField) {
  EventBus bus;
  const auto all = Subscribe(bus, {});
  const auto message = [&bus](Envelope envelope) {
    const absl::Status status = bus.Publish(std::move(envelope));
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(message(Event("tasks/exit")), HasSubstr("topic \"tasks/exit\" must begin with '/'"));
  EXPECT_THAT(message(Event("")), HasSubstr("topic"));
  EXPECT_THAT(message(Event("/")), HasSubstr("at least one component"));
  EXPECT_THAT(message(Event("/tasks//exit")), HasSubstr("topic \"/tasks//exit\""));
  EXPECT_THAT(message(Event("/tasks/ex it")), HasSubstr("ex it"));
  EXPECT_THAT(message(Event("/tasks/exit", "")), HasSubstr("namespace"));
  Envelope empty = Event("/tasks/exit");
  empty.event = {};
  EXPECT_THAT(message(empty), HasSubstr("event"));
  Envelope timeless = Event("/tasks/exit");
  timeless.timestamp = absl::InfinitePast();
  EXPECT_THAT(message(timeless), HasSubstr("timestamp"));
  EXPECT_EQ(all->Next(), nullptr);
}

TEST(EventBusTest, AllSubscribersSeeOneOrderOfConcurrentPublishers) {
  EventBus bus;
  const auto one = Subscribe(bus, {});
  const auto two = Subscribe(bus, {});
  std::vector<std::thread> publishers;
  for (int i = 0; i < 4; ++i) {
    publishers.emplace_back([&bus, i] {
      for (int j = 0; j < 100; ++j) {
        EXPECT_TRUE(bus.Publish(Event("/p" + std::to_string(i) + "/n" + std::to_string(j))).ok());
      }
    });
  }
  for (std::thread& publisher : publishers) publisher.join();
  const auto seen = Topics(*one);
  EXPECT_EQ(seen.size(), 400u);
  EXPECT_EQ(seen, Topics(*two));
}

}  // namespace
}  // namespace gantry::events
